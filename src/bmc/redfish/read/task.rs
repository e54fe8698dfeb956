//! Tasks of a controller, and entity tags. Pure.

use serde_json::Value;

use super::{Said, said, text};

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    Running,
    Done,
    Failed(Said),
}

/// `TaskState` of a reply of a task or its monitor. A reply that has none is the result of what was asked: done.
#[must_use]
pub fn state(value: &Value) -> Task {
    match text(value, "TaskState").as_deref() {
        None | Some("Completed") => Task::Done,
        Some("Exception" | "Killed" | "Cancelled" | "Stopped") => Task::Failed(said(value)),
        Some(_) => Task::Running,
    }
}

/// What `If-Match` may hold, in the order it is tried after each 412: the tag as it is, without its mark of weakness, and
/// in plain quotes; then any; then nothing. Controllers differ in which of them they take.
#[must_use]
pub fn tags(tag: Option<&str>) -> Vec<Option<String>> {
    let mut tries: Vec<Option<String>> = Vec::new();
    if let Some(tag) = tag.map(str::trim).filter(|tag| !tag.is_empty()) {
        let strong = tag.strip_prefix("W/").unwrap_or(tag);
        let bare = strong.trim_matches('"');
        for form in [
            tag.to_owned(),
            strong.to_owned(),
            format!("\"{bare}\""),
            bare.to_owned(),
        ] {
            if !form.is_empty() && !tries.contains(&Some(form.clone())) {
                tries.push(Some(form));
            }
        }
        tries.push(Some("*".to_owned()));
        tries.push(None);
    } else {
        tries.push(None);
        tries.push(Some("*".to_owned()));
    }
    tries
}
