//! Label selectors: the language of `labelSelector`, with the faults that kube-apiserver finds.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds::names;
use crate::schema::go::quote;

/// What must hold for the labels of an object: all of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Labels(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Exists,
    Absent,
    In,
    NotIn,
    Greater,
    Less,
}

impl Labels {
    /// Reads a selector.
    ///
    /// # Errors
    /// In the words of kube-apiserver.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Parser { tokens: tokens(text), at: 0 }.selector().map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object's labels fit.
    pub(crate) fn fit(&self, object: &Value) -> bool {
        let labels = object.get("metadata").and_then(|metadata| metadata.get("labels"));
        self.0
            .iter()
            .all(|one| one.fits(labels.and_then(|labels| labels.get(&one.key)).and_then(Value::as_str)))
    }
}

impl Requirement {
    fn fits(&self, value: Option<&str>) -> bool {
        let compare = |fits: fn(i64, i64) -> bool| {
            let value = value.and_then(|value| value.parse().ok());
            let bound = self.values.first().and_then(|bound| bound.parse().ok());
            matches!((value, bound), (Some(value), Some(bound)) if fits(value, bound))
        };
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Greater => compare(|value, bound| value > bound),
            Operator::Less => compare(|value, bound| value < bound),
        }
    }

    /// The requirement, if its key and its values can be those of labels.
    fn checked(self) -> Result<Self, String> {
        let ordered = matches!(self.operator, Operator::Greater | Operator::Less);
        let mut faults = Vec::new();
        for (at, value) in self.values.iter().enumerate() {
            let shown = quote(value);
            if ordered && value.parse::<i64>().is_err() {
                let why = "for 'Gt', 'Lt' operators, the value must be an integer";
                faults.push(format!("values[{at}]: Invalid value: {shown}: {why}"));
            }
            let wrong = names::label_value(value);
            if !wrong.is_empty() {
                let why = wrong.join("; ");
                faults.push(format!("values[{at}][{}]: Invalid value: {shown}: {why}", self.key));
            }
        }
        match faults.as_slice() {
            [] => Ok(self),
            [one] => Err(one.clone()),
            _ => Err(format!("[{}]", faults.join(", "))),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
    Unknown(String),
}

const SIGNS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

fn tokens(text: &str) -> Vec<Token> {
    let special = |letter: char| "=!(),<>".contains(letter);
    let space = |letter: char| " \t\r\n".contains(letter);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(space);
    while let Some(first) = rest.chars().next() {
        if special(first) {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            tokens.push(sign.map_or_else(|| Token::Unknown(first.to_string()), Token::Sign));
            rest = rest.get(sign.map_or(1, str::len)..).unwrap_or_default();
        } else {
            let end = rest.find(|letter| special(letter) || space(letter)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        }
        rest = rest.trim_start_matches(space);
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).cloned()
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut all = Vec::new();
        loop {
            match self.peek() {
                None => return Ok(all),
                Some(Token::Word(_) | Token::Sign("!")) => {
                    let one = self.requirement();
                    all.push(one.map_err(|why| format!("unable to parse requirement: {why}"))?);
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        shown(&other)
                    ));
                }
            }
            match self.next() {
                None => return Ok(all),
                Some(Token::Sign(",")) => match self.peek() {
                    Some(Token::Word(_) | Token::Sign("!")) => {}
                    other => {
                        return Err(format!("found '{}', expected: identifier after ','", shown(&other)));
                    }
                },
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", shown(&other))),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut token = self.next();
        let absent = token == Some(Token::Sign("!"));
        if absent {
            token = self.next();
        }
        let Some(Token::Word(key)) = token else {
            return Err(format!("found '{}', expected: identifier", shown(&token)));
        };
        let wrong = names::qualified(&key);
        if !wrong.is_empty() {
            return Err(format!("<nil>: Invalid value: {}: {}", quote(&key), wrong.join("; ")));
        }
        let ends = matches!(self.peek(), None | Some(Token::Sign(",")));
        if absent || ends {
            let operator = if absent { Operator::Absent } else { Operator::Exists };
            return Ok(Requirement { key, operator, values: BTreeSet::new() });
        }
        let (operator, many) = self.operator()?;
        let values = if many { self.values()? } else { self.value()? };
        Requirement { key, operator, values }.checked()
    }

    /// The operator, and whether a list of values follows.
    fn operator(&mut self) -> Result<(Operator, bool), String> {
        let token = self.next();
        match &token {
            Some(Token::Word(word)) if word == "in" => Ok((Operator::In, true)),
            Some(Token::Word(word)) if word == "notin" => Ok((Operator::NotIn, true)),
            Some(Token::Sign("=" | "==")) => Ok((Operator::In, false)),
            Some(Token::Sign("!=")) => Ok((Operator::NotIn, false)),
            Some(Token::Sign(">")) => Ok((Operator::Greater, false)),
            Some(Token::Sign("<")) => Ok((Operator::Less, false)),
            _ => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", shown(&token))),
        }
    }

    fn value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.peek(), None | Some(Token::Sign(","))) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.next() {
            Some(Token::Word(word)) => Ok(BTreeSet::from([word])),
            other => Err(format!("found '{}', expected: identifier", shown(&other))),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.next();
        if open != Some(Token::Sign("(")) {
            return Err(format!("found '{}' expected: '('", shown(&open)));
        }
        match self.peek() {
            Some(Token::Sign(")")) => {
                self.at += 1;
                Ok(BTreeSet::from([String::new()]))
            }
            Some(Token::Word(_) | Token::Sign(",")) => self.list(),
            other => Err(format!("found '{}', expected: ',', ')' or identifier", shown(&other))),
        }
    }

    fn list(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.next() {
                Some(Token::Word(word)) => {
                    values.insert(word);
                    match self.peek() {
                        Some(Token::Sign(",")) => {}
                        Some(Token::Sign(")")) => break,
                        other => return Err(format!("found '{}', expected: ',' or ')'", shown(&other))),
                    }
                }
                Some(Token::Sign(",")) => {
                    let after = self.peek();
                    if values.is_empty() || matches!(after, Some(Token::Sign("," | ")"))) {
                        values.insert(String::new());
                    }
                    match after {
                        Some(Token::Sign(")")) => break,
                        Some(Token::Sign(",")) => self.at += 1,
                        _ => {}
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", shown(&other))),
            }
        }
        self.at += 1;
        Ok(values)
    }
}

fn shown(token: &Option<Token>) -> String {
    match token {
        None => String::new(),
        Some(Token::Word(word) | Token::Unknown(word)) => word.clone(),
        Some(Token::Sign(sign)) => (*sign).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_missing_label_fits_what_excludes_values_and_nothing_else() {
        let object = json!({"metadata": {"labels": {"other": "1"}}});
        let fits = |text: &str| Labels::parse(text).map(|labels| labels.fit(&object));
        assert_eq!(["!n", "n!=1", "n notin (1)"].map(fits), [Ok(true), Ok(true), Ok(true)]);
        assert_eq!(["n", "n=1", "n in (1)", "n>0"].map(fits), [Ok(false), Ok(false), Ok(false), Ok(false)]);
    }

    #[test]
    fn an_empty_list_of_values_is_a_list_of_the_empty_text() {
        let object = json!({"metadata": {"labels": {"n": ""}}});
        assert!(Labels::parse("n in ()").is_ok_and(|labels| labels.fit(&object)));
        assert!(Labels::parse("n in (a,)").is_ok_and(|labels| labels.fit(&object)));
    }
}
