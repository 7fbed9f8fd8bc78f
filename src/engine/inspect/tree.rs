//! What an inspection found, as a tree.

use crate::error::Error;
use crate::model::Value;
use std::collections::HashSet;

/// A file or a part of one: its fields, what is wrong with it, and its parts.
///
/// Made by [`inspect_file`](crate::inspect::inspect_file) and [`inspect_database`](crate::inspect::inspect_database). Names of parts and
/// fields are those of the format specification where it has one; they are for people, and may change with the format.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Inspection {
    /// What it is: the name of a file, of a section, the number of a segment.
    pub name: String,
    /// What it says of itself, in the order of the format.
    pub fields: Vec<(&'static str, Value)>,
    /// What is wrong with it, its parts not included.
    pub problems: Vec<Error>,
    /// What is wrong with it and is a problem of an earlier part already, such as the bad block that both lie in.
    pub repeats: Vec<Error>,
    /// Its parts.
    pub children: Vec<Inspection>,
}

impl Inspection {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(super) fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn problem(&mut self, error: Error) {
        self.problems.push(error);
    }

    /// Notes the error of a result, if it is one.
    pub(super) fn check<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.problem(error)).ok()
    }

    /// Keeps each problem where it comes first; elsewhere it is a repeat.
    pub(super) fn tell_once(&mut self, told: &mut HashSet<String>) {
        let (problems, repeats) =
            std::mem::take(&mut self.problems).into_iter().partition(|problem| told.insert(problem.to_string()));
        self.problems = problems;
        self.repeats.extend::<Vec<Error>>(repeats);
        self.children.iter_mut().for_each(|child| child.tell_once(told));
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }

    /// The first part of a name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Every problem of it and of its parts, in order, each once. O(parts).
    #[must_use]
    pub fn all_problems(&self) -> Vec<&Error> {
        let below = self.children.iter().flat_map(Self::all_problems);
        self.problems.iter().chain(below).collect()
    }

    /// Whether nothing is wrong with it or with any of its parts.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.repeats.is_empty() && self.children.iter().all(Self::is_sound)
    }
}
