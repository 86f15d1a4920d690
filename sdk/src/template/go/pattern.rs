//! Translates regular expressions from RE2's syntax, which Go uses, to that of the engine, which differs a little.
//! Syntax that only the engine knows is refused; syntax that only RE2 knows is rewritten if possible.

use std::iter::Peekable;
use std::str::Chars;

/// A translated expression.
pub(super) struct Pattern {
    pub(super) text: String,
    /// Approximate number of steps per byte of text.
    pub(super) weight: u64,
}

/// RE2's maximum number of repetitions.
const MAX_REPEAT: u64 = 1000;

/// Maximum depth of nested groups.
const MAX_GROUPS: usize = 50;
/// Weight of the heaviest expression that is run.
const MAX_WEIGHT: u64 = 100_000;

/// The reason why an expression cannot be run, as a message.
pub(super) enum Flaw {
    /// RE2 refuses the expression too.
    Malformed(String),
    /// Only this implementation refuses the expression.
    Unsupported(String),
}

/// Translates `source`.
pub(super) fn translate(source: &str) -> Result<Pattern, Flaw> {
    let mut translator = Translator {
        rest: source.chars().peekable(),
        out: String::new(),
        open: vec![Part::default()],
        last: Part::default(),
        beyond_ascii: !source.is_ascii(),
        unsupported: None,
    };
    translator.run().map_err(Flaw::Malformed)?;
    if let Some(cause) = translator.unsupported {
        return Err(Flaw::Unsupported(cause));
    }
    let weight = translator.open.iter().fold(1, |sum: u64, part| sum.saturating_add(part.size));
    if weight > MAX_WEIGHT {
        return Err(Flaw::Unsupported("the regular expression is too large; repeat less".into()));
    }
    Ok(Pattern { text: translator.out, weight })
}

/// A part of an expression.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Approximate number of states.
    size: u64,
    /// Product of the repetitions in it.
    repeats: u64,
}

struct Translator<'s> {
    rest: Peekable<Chars<'s>>,
    out: String,
    /// The size of each open group so far, the whole expression first, and the size of its last part.
    open: Vec<Part>,
    last: Part,
    beyond_ascii: bool,
    unsupported: Option<String>,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), String> {
        // Whether the part before is a repetition already.
        let mut repeated = false;
        while let Some(c) = self.rest.next() {
            let mut repeats = false;
            match c {
                '(' | ')' | '*' | '+' | '?' | '{' | '|' => {}
                _ => self.grow(Part { size: 1, repeats: 1 }),
            }
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => {
                    self.open.push(Part::default());
                    if self.open.len() > MAX_GROUPS {
                        self.refuse("groups within groups are nested too deep");
                    }
                    self.group()?;
                }
                ')' => {
                    let part = self.open.pop().unwrap_or_default();
                    if self.open.is_empty() {
                        return Err("there is no ( for a )".into());
                    }
                    self.grow(part);
                    self.out.push(')');
                }
                '*' | '+' | '?' => {
                    repeats = true;
                    self.out.push(c);
                }
                '{' => match self.counted() {
                    Some(text) => {
                        repeats = true;
                        self.out.push_str(&text);
                        self.count(&text)?;
                    }
                    None => {
                        self.grow(Part { size: 1, repeats: 1 });
                        self.out.push_str("\\{");
                    }
                },
                '}' | ']' => self.out.extend(['\\', c]),
                _ => self.out.push(c),
            }
            if repeats {
                if repeated {
                    return Err("a repetition cannot be repeated; put it in parentheses".into());
                }
                self.lazy();
            }
            repeated = repeats;
        }
        Ok(())
    }

    /// Skips a question mark after a repetition.
    fn lazy(&mut self) {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`. Any other brace is a plain character.
    fn counted(&mut self) -> Option<String> {
        let text: String = self.rest.clone().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
        let closed = self.rest.clone().nth(text.len()) == Some('}');
        let (least, most) = text.split_once(',').unwrap_or((&text, ""));
        if !closed || least.is_empty() || most.contains(',') {
            return None;
        }
        self.rest.nth(text.len());
        Some(format!("{{{text}}}"))
    }

    /// Multiplies the size of the last part by its repetitions.
    fn count(&mut self, braces: &str) -> Result<(), String> {
        let too_often = || format!("{braces} repeats more than {MAX_REPEAT} times, those within it counted");
        let mut most = 0;
        for number in braces.split(|c: char| !c.is_ascii_digit()).filter(|text| !text.is_empty()) {
            most = number.parse::<u64>().ok().filter(|number| *number <= MAX_REPEAT).ok_or_else(too_often)?;
        }
        let times = most.max(1);
        let part = Part {
            size: self.last.size.saturating_mul(times),
            repeats: self.last.repeats.max(1).saturating_mul(times),
        };
        if part.repeats > MAX_REPEAT && most > 0 {
            return Err(too_often());
        }
        // The part is counted once already.
        self.grow(Part { size: part.size - self.last.size, repeats: part.repeats });
        self.last = part;
        Ok(())
    }

    fn grow(&mut self, part: Part) {
        self.last = part;
        if let Some(open) = self.open.last_mut() {
            open.size = open.size.saturating_add(part.size);
            open.repeats = open.repeats.max(part.repeats);
        }
    }

    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        // Flags behind a minus are switched off.
        let mut off = false;
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphabetic() || *c == '-') {
            off |= c == '-';
            if c == 'i' && !off && self.beyond_ascii {
                self.refuse("case is ignored for ASCII only; write other letters in both cases");
            }
            if !"imsUP-".contains(c) {
                return Err(format!("the flag {c:?} is unknown"));
            }
            self.out.push(c);
        }
        let mut name = self.rest.clone();
        if name.next() == Some('<') && name.next().is_some_and(|c| c.is_ascii_digit()) {
            self.refuse("the name of a group begins with a letter");
        }
        Ok(())
    }

    /// Notes that the expression is valid in RE2, but cannot be run here.
    fn refuse(&mut self, cause: &str) {
        self.unsupported.get_or_insert_with(|| cause.to_owned());
    }

    /// Translates an escape outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.next() {
            None => Err("it ends in a backslash".into()),
            Some('Q') => {
                self.literal();
                Ok(())
            }
            Some('s') => {
                self.out.push_str("[\\t\\n\\f\\r ]");
                Ok(())
            }
            Some('S') => {
                self.out.push_str("[^\\t\\n\\f\\r ]");
                Ok(())
            }
            Some(c @ ('A' | 'z' | 'b' | 'B')) => {
                self.out.extend(['\\', c]);
                Ok(())
            }
            Some(c) => self.common_escape(c),
        }
    }

    /// Translates an escape that means the same inside and outside of a class.
    fn common_escape(&mut self, c: char) -> Result<(), String> {
        match c {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' => {
                self.out.extend(['\\', c])
            }
            '0'..='7' => self.octal(c)?,
            'p' | 'P' => {
                let cause =
                    "character classes such as \\pL are not supported; write the characters".to_owned();
                self.unsupported.get_or_insert(cause);
            }
            c if c.is_ascii_punctuation() => self.character(c),
            _ => return Err(format!("\\{c} has no meaning")),
        }
        Ok(())
    }

    /// Translates `\0`, or an octal number of two or three digits.
    fn octal(&mut self, first: char) -> Result<(), String> {
        let more: String = self.rest.clone().take(2).take_while(|c| ('0'..='7').contains(c)).collect();
        if first != '0' && more.is_empty() {
            return Err(format!("\\{first} refers back to a group, which is not supported"));
        }
        for _ in more.chars() {
            self.rest.next();
        }
        let code = u32::from_str_radix(&format!("{first}{more}"), 8).unwrap_or_default();
        self.out.push_str(&format!("\\x{{{code:x}}}"));
        Ok(())
    }

    /// Writes a literal character.
    fn character(&mut self, c: char) {
        if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// Writes all characters up to `\E` as literals.
    fn literal(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.character(c);
        }
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.next() else { return Err("a [ is not closed".into()) };
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => match self.rest.next() {
                    Some(c) => self.common_escape(c)?,
                    None => return Err("it ends in a backslash".into()),
                },
                '[' if self.rest.peek() == Some(&':') => {
                    self.out.push('[');
                    for c in self.rest.by_ref() {
                        self.out.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                }
                // A dash may make a range.
                '-' => self.out.push_str(if self.rest.peek() == Some(&'-') { "\\-" } else { "-" }),
                c => self.character(c),
            }
            first = false;
        }
    }
}
