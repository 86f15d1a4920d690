//! The variable `authorizer` of policies: what the user may do.
//!
//! Functions of an expression cannot reach the store. So a question that they cannot answer is noted, the expression fails, the
//! question is answered, and the expression is run again.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::extractors::This;
use cel::{Context, ExecutionError, Value as Cel};
use parking_lot::Mutex;

use super::map;
use crate::access::{Attributes, Objects, User, authorize};

/// What is asked: user, verb, namespace, group, resource, subresource, name, path.
type Question = [String; 8];

/// Its answer: none yet, or why not.
type Answer = Option<Result<(), String>>;

/// The questions that were asked, and their answers.
#[derive(Clone, Default)]
pub(in crate::admission) struct Authorizer(Arc<Mutex<BTreeMap<Question, Answer>>>);

const FIELDS: [&str; 8] = ["@user", "@verb", "namespace", "group", "resource", "subresource", "name", "path"];

impl Authorizer {
    /// Returns the variable that asks for this user.
    pub(in crate::admission) fn variable(&self, attributes: &Attributes) -> Cel {
        let (namespace, group, resource) = (attributes.namespace, attributes.group, attributes.resource);
        let (subresource, name) = (attributes.subresource, attributes.name);
        let fields = [
            ("namespace", namespace),
            ("group", group),
            ("resource", resource),
            ("subresource", subresource),
            ("name", name),
        ];
        map(fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(field, value)| (field.to_owned(), value.into())))
    }

    /// Answers what has been asked since; returns whether there was anything.
    pub(in crate::admission) fn answer(&self, objects: &dyn Objects, user: &User) -> bool {
        let mut questions = self.0.lock();
        let mut any = false;
        for (question, answer) in questions.iter_mut().filter(|(_, answer)| answer.is_none()) {
            let [account, verb, namespace, group, resource, subresource, name, path] =
                question.each_ref().map(String::as_str);
            let asked = Attributes { verb, namespace, group, resource, subresource, name, path };
            let other =
                account.split_once('/').map(|(namespace, name)| User::service_account(namespace, name));
            *answer = Some(authorize(objects, other.as_ref().unwrap_or(user), &asked));
            any = true;
        }
        any
    }

    fn ask(&self, question: Question) -> Result<Cel, ExecutionError> {
        let mut questions = self.0.lock();
        match questions.entry(question).or_default() {
            Some(answer) => {
                let reason = answer.as_ref().err().cloned().unwrap_or_default();
                Ok(map([
                    ("@allowed".to_owned(), answer.is_ok().into()),
                    ("@reason".to_owned(), reason.into()),
                ]))
            }
            None => Err(ExecutionError::function_error("check", "not answered yet")),
        }
    }
}

fn fields(value: &Cel) -> BTreeMap<String, Cel> {
    let Cel::Map(map) = value else { return BTreeMap::new() };
    map.map.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
}

/// Adds the functions of `authorizer` to a context.
pub(in crate::admission) fn add_authorizer(context: &mut Context<'_, '_>, authorizer: &Authorizer) {
    for field in ["group", "resource", "subresource", "namespace", "name", "path"] {
        let set = move |This(this): This<Cel>, value: Arc<String>| -> Result<Cel, ExecutionError> {
            let mut fields = fields(&this);
            fields.insert(field.to_owned(), Cel::String(value));
            Ok(map(fields))
        };
        // It fails only for a name that the environment has; these it has not.
        let _ = context.add_function(field, set);
    }
    let account =
        |This(this): This<Cel>, namespace: Arc<String>, name: Arc<String>| -> Result<Cel, ExecutionError> {
            let mut fields = fields(&this);
            fields.insert("@user".to_owned(), format!("{namespace}/{name}").into());
            Ok(map(fields))
        };
    let _ = context.add_function("serviceAccount", account);
    let authorizer = authorizer.clone();
    let check = move |This(this): This<Cel>, verb: Arc<String>| -> Result<Cel, ExecutionError> {
        let fields = fields(&this);
        let text = |field: &str| match fields.get(field) {
            Some(Cel::String(text)) => text.to_string(),
            _ => String::new(),
        };
        authorizer.ask(FIELDS.map(|field| if field == "@verb" { verb.to_string() } else { text(field) }))
    };
    let _ = context.add_function("check", check);
    for (name, field) in [("allowed", "@allowed"), ("reason", "@reason")] {
        let get = move |This(this): This<Cel>| -> Result<Cel, ExecutionError> {
            fields(&this).remove(field).ok_or_else(|| ExecutionError::function_error(name, "no decision"))
        };
        let _ = context.add_function(name, get);
    }
    let errored = |This(_): This<Cel>| -> Result<Cel, ExecutionError> { Ok(false.into()) };
    let _ = context.add_function("errored", errored);
}
