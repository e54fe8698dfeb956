//! How one text differs from another, line by line, as `diff -u` shows it. Pure.

use std::fmt::Write;
use std::ops::Range;

/// Unchanged lines around a change.
const AROUND: usize = 3;
/// Most cells of the table that finds what both have; past that all between first and last difference counts as changed.
const MOST_CELLS: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Both(&'t str),
    Old(&'t str),
    New(&'t str),
}

/// Empty when nothing differs.
pub(super) fn unified(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    if old == new {
        return String::new();
    }
    let lines = align(
        &old.lines().collect::<Vec<_>>(),
        &new.lines().collect::<Vec<_>>(),
    );
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    for part in parts(&lines) {
        let count = |lines: &[Line<'_>], not: fn(&Line<'_>) -> bool| {
            lines.iter().filter(|line| !not(line)).count()
        };
        let is_new: fn(&Line<'_>) -> bool = |line| matches!(line, Line::New(_));
        let is_old: fn(&Line<'_>) -> bool = |line| matches!(line, Line::Old(_));
        let (before, inside) = (&lines[..part.start], &lines[part.clone()]);
        let _ = writeln!(
            text,
            "@@ -{},{} +{},{} @@",
            count(before, is_new) + 1,
            count(inside, is_new),
            count(before, is_old) + 1,
            count(inside, is_old)
        );
        for line in inside {
            let (mark, words) = match line {
                Line::Both(words) => (' ', words),
                Line::Old(words) => ('-', words),
                Line::New(words) => ('+', words),
            };
            let _ = writeln!(text, "{mark}{words}");
        }
    }
    text
}

/// Changed lines with what stands around them.
fn parts(lines: &[Line<'_>]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if matches!(line, Line::Both(_)) {
            continue;
        }
        let part = at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len());
        match parts.last_mut() {
            Some(last) if last.end >= part.start => last.end = part.end,
            _ => parts.push(part),
        }
    }
    parts
}

/// Puts two texts beside each other by their longest common subsequence.
fn align<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let same = |(one, other): &(&&str, &&str)| one == other;
    let head = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = tail.take_while(same).count();
    let old_middle = &old_rest[..old_rest.len() - tail];
    let new_middle = &new_rest[..new_rest.len() - tail];
    let mut lines: Vec<Line<'t>> = old[..head].iter().map(|line| Line::Both(line)).collect();
    lines.extend(middle(old_middle, new_middle));
    let end = &old[old.len() - tail..];
    lines.extend(end.iter().map(|line| Line::Both(line)));
    lines
}

fn middle<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let (height, width) = (old.len() + 1, new.len() + 1);
    let mut lines = Vec::new();
    if height.saturating_mul(width) > MOST_CELLS {
        lines.extend(old.iter().map(|line| Line::Old(line)));
        lines.extend(new.iter().map(|line| Line::New(line)));
        return lines;
    }
    // Length of the longest common subsequence of what follows.
    let mut table = vec![0_u32; height * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            table[i * width + j] = if old[i] == new[j] {
                table[(i + 1) * width + j + 1] + 1
            } else {
                table[(i + 1) * width + j].max(table[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let drop_old = i < old.len()
            && (j == new.len() || table[(i + 1) * width + j] >= table[i * width + j + 1]);
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if drop_old {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_diff_shows_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
        let new = "a\nb\nc\nd\nE\ne\nf\ng\nh\ni\nj\nk\nm\n";
        let want = "--- x\n+++ y\n@@ -2,6 +2,7 @@\n b\n c\n d\n+E\n e\n f\n g\n@@ -9,4 +10,4 @@\n i\n j\n k\n-l\n+m\n";
        assert_eq!(unified(old, new, "x", "y"), want);
        assert_eq!(unified(old, old, "x", "y"), "");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn both_sides_are_whole(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
            let lines = align(&old, &new);
            let left = lines.iter().filter_map(|line| match line {
                Line::Both(words) | Line::Old(words) => Some(*words),
                Line::New(_) => None,
            });
            assert!(left.eq(old.iter().copied()));
            let right = lines.iter().filter_map(|line| match line {
                Line::Both(words) | Line::New(words) => Some(*words),
                Line::Old(_) => None,
            });
            assert!(right.eq(new.iter().copied()));
        }
    }
}
