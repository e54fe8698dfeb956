//! The messages that answers carry: those of DMTF's registry `Base` that this service uses, and our own registry. One table,
//! from which the registries are served as well.

use serde_json::{Value, json};

/// The version of `Base` whose keys these are.
pub(super) const BASE: &str = "Base.1.19";
/// The version of `TaskEvent` whose keys these are.
pub(super) const TASK: &str = "TaskEvent.1.0";
/// Our own registry, for what `Base` has no key for.
pub(super) const OWN: &str = "Oobd.1.0";

/// One message of a registry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    pub(super) key: &'static str,
    /// `%1`, `%2` … stand for its arguments.
    pub(super) text: &'static str,
    pub(super) severity: &'static str,
    pub(super) resolution: &'static str,
}

const fn critical(key: &'static str, text: &'static str, resolution: &'static str) -> Template {
    Template {
        key,
        text,
        severity: "Critical",
        resolution,
    }
}

const fn warning(key: &'static str, text: &'static str, resolution: &'static str) -> Template {
    Template {
        key,
        text,
        severity: "Warning",
        resolution,
    }
}

const fn fine(key: &'static str, text: &'static str) -> Template {
    Template {
        key,
        text,
        severity: "OK",
        resolution: "None.",
    }
}

/// What is used of `Base`.
pub(super) const BASES: &[Template] = &[
    fine("Success", "The request was carried out."),
    critical(
        "GeneralError",
        "An error has occurred. The extended information says which.",
        "See the extended information.",
    ),
    critical(
        "MalformedJSON",
        "The body of the request is no JSON.",
        "Send a body of well-formed JSON.",
    ),
    warning(
        "UnrecognizedRequestBody",
        "The body of the request is no JSON object.",
        "Send a JSON object.",
    ),
    critical(
        "ResourceMissingAtURI",
        "There is no resource at %1.",
        "Find the resource from the service root.",
    ),
    critical(
        "OperationNotAllowed",
        "The resource does not take this method.",
        "Use a method that the Allow header names.",
    ),
    critical(
        "InsufficientPrivilege",
        "The account has too few privileges for this.",
        "Use an account with more privileges.",
    ),
    critical(
        "NoValidSession",
        "Nobody is signed in, or not any more.",
        "Sign in, and repeat the request.",
    ),
    critical(
        "ResourceAtUriUnauthorized",
        "Access to %1 was refused: %2.",
        "Give the right credentials.",
    ),
    critical(
        "PasswordChangeRequired",
        "The password of this account must be changed first: send it as Password in a PATCH of %1.",
        "Change the password.",
    ),
    critical(
        "PreconditionFailed",
        "The resource is not what If-Match or If-None-Match says.",
        "Read the resource again, and repeat the request with its ETag.",
    ),
    warning(
        "QueryNotSupported",
        "This query parameter is not known here.",
        "Leave it out; ProtocolFeaturesSupported of the service root tells which there are.",
    ),
    warning(
        "QueryNotSupportedOnOperation",
        "Query parameters go with GET alone.",
        "Leave them out.",
    ),
    warning(
        "QueryNotSupportedOnResource",
        "This query parameter does not go with this resource.",
        "Leave it out.",
    ),
    warning(
        "QueryParameterValueFormatError",
        "The value %1 of the query parameter %2 has a wrong form.",
        "Correct the value.",
    ),
    warning(
        "QueryParameterOutOfRange",
        "The value %1 of the query parameter %2 is not within %3.",
        "Give a value within the range.",
    ),
    warning(
        "PropertyUnknown",
        "The resource has no property %1.",
        "Leave the property out.",
    ),
    warning(
        "PropertyNotWritable",
        "The property %1 can only be read.",
        "Leave the property out.",
    ),
    warning(
        "PropertyMissing",
        "The property %1 is required and missing.",
        "Add the property.",
    ),
    warning(
        "PropertyValueTypeError",
        "The value %1 of the property %2 is of a wrong type.",
        "Correct the value.",
    ),
    warning(
        "PropertyValueNotInList",
        "The value %1 of the property %2 is none of those it may have.",
        "Choose an allowed value.",
    ),
    warning(
        "PropertyValueFormatError",
        "The value %1 of the property %2 has a wrong form.",
        "Correct the value.",
    ),
    warning(
        "PropertyValueError",
        "The value of the property %1 cannot be taken.",
        "Correct the value.",
    ),
    critical(
        "CreateFailedMissingReqProperties",
        "The resource cannot be made without the property %1.",
        "Add the property.",
    ),
    critical(
        "ActionParameterMissing",
        "The action %1 needs the parameter %2.",
        "Add the parameter.",
    ),
    warning(
        "ActionParameterUnknown",
        "The action %1 has no parameter %2.",
        "Leave the parameter out.",
    ),
    warning(
        "ActionParameterValueTypeError",
        "The value %1 of the parameter %2 of the action %3 is of a wrong type.",
        "Correct the value.",
    ),
    warning(
        "ActionParameterValueNotInList",
        "The value %1 of the parameter %2 of the action %3 is none of those it may have.",
        "Choose an allowed value.",
    ),
    warning(
        "ActionParameterValueError",
        "The value of the parameter %1 of the action %2 cannot be taken.",
        "Correct the value.",
    ),
    warning(
        "NoOperation",
        "The request asks for nothing that can be changed.",
        "Name at least one property that can be written.",
    ),
    warning(
        "HeaderInvalid",
        "The header %1 has a value that does not fit here.",
        "Correct the header.",
    ),
    critical(
        "ResourceExhaustion",
        "There are too many of %1 already.",
        "Remove one, and repeat the request.",
    ),
    critical(
        "ServiceTemporarilyUnavailable",
        "The service cannot answer now. Come back in %1 seconds.",
        "Wait, and repeat the request.",
    ),
    critical(
        "InternalError",
        "The service failed at this: %1.",
        "Repeat the request; look into the journal of the board.",
    ),
];

/// What is used of `TaskEvent`.
pub(super) const TASKS: &[Template] = &[
    fine("TaskStarted", "The task %1 has begun."),
    fine("TaskCompletedOK", "The task %1 is over, and went well."),
    warning(
        "TaskCompletedWarning",
        "The task %1 is over, with a warning.",
        "See the other messages of the task.",
    ),
    critical(
        "TaskAborted",
        "The task %1 did not reach its end.",
        "See the other messages of the task.",
    ),
];

/// Our own.
pub(super) const OWNS: &[Template] = &[
    critical(
        "Refused",
        "It was not done: %1.",
        "See what the sentence says.",
    ),
    critical(
        "NoAnswer",
        "No answer in time: %1. Whether it was done is not known.",
        "Read the state of the resource before anything is asked again.",
    ),
    fine("Event", "%1: %3"),
    warning(
        "Unconfirmed",
        "It was done, and does not show yet: %1.",
        "Read the state of the resource.",
    ),
    critical(
        "CutOff",
        "The board stopped while this was under way. What came of it is not known.",
        "Read the state of the resource before anything is asked again.",
    ),
];

/// A message with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Message {
    template: Template,
    registry: &'static str,
    args: Vec<String>,
    related: Option<String>,
}

impl Message {
    /// A message of `Base`, of `TaskEvent` or of our own registry. A key that none has is a slip of ours, and reads as
    /// `GeneralError`; a test looks for them.
    pub(super) fn new(key: &str, args: &[&str]) -> Self {
        let tables = [(BASE, BASES), (TASK, TASKS), (OWN, OWNS)];
        let found = tables.iter().find_map(|(registry, table)| {
            let template = table.iter().find(|one| one.key == key)?;
            Some((*registry, *template))
        });
        let (registry, template) = found.unwrap_or((BASE, BASES[1]));
        Self {
            template,
            registry,
            args: args.iter().map(ToString::to_string).collect(),
            related: None,
        }
    }

    /// What it is about, as a JSON pointer.
    #[must_use]
    pub(super) fn about(mut self, property: &str) -> Self {
        self.related = Some(format!("#/{property}"));
        self
    }

    pub(super) fn id(&self) -> String {
        format!("{}.{}", self.registry, self.template.key)
    }

    pub(super) fn text(&self) -> String {
        // From the back, so that %1 does not eat the beginning of %10.
        let numbered = self.args.iter().enumerate().rev();
        numbered.fold(self.template.text.to_owned(), |text, (at, arg)| {
            text.replace(&format!("%{}", at + 1), arg)
        })
    }

    pub(super) fn value(&self) -> Value {
        let mut value = json!({
            "@odata.type": "#Message.v1_3_0.Message",
            "MessageId": self.id(),
            "Message": self.text(),
            "MessageArgs": self.args,
            "MessageSeverity": self.template.severity,
            "Resolution": self.template.resolution,
        });
        if let Some(related) = &self.related {
            value["RelatedProperties"] = json!([related]);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_take_their_places() {
        let message = Message::new("PropertyValueTypeError", &["3", "Password"]).about("Password");
        let value = message.value();
        assert_eq!(value["MessageId"], "Base.1.19.PropertyValueTypeError");
        assert_eq!(
            value["Message"],
            "The value 3 of the property Password is of a wrong type."
        );
        assert_eq!(value["RelatedProperties"][0], "#/Password");
        assert_eq!(Message::new("Refused", &["busy"]).id(), "Oobd.1.0.Refused");
    }
}
