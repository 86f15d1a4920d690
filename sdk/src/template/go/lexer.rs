//! Splitting a template into words: text, and the tokens between `{{` and `}}`.

/// The kind of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Open,
    Close,
    /// A run of spaces that separates arguments.
    Space,
    Bool,
    Number,
    Complex,
    Character,
    String,
    /// `.`
    Dot,
    /// `.name`
    Field,
    /// `$` or `$name`
    Variable,
    Identifier,
    Keyword,
    Nil,
    Assign,
    Declare,
    Pipe,
    OpenParen,
    CloseParen,
    Comma,
    /// Any other ASCII character, which is valid nowhere.
    Other,
    End,
}

/// A word of the template, and its offset in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'s> {
    pub(super) kind: Kind,
    pub(super) text: &'s str,
    pub(super) at: usize,
}

/// An error message, and the byte at which it occurs.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) at: usize,
    pub(super) cause: String,
}

const KEYWORDS: [&str; 10] =
    ["block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"];

/// Words of most templates.
const USUAL: usize = 32;

/// Returns all words of `source`, the last of them [`Kind::End`]. Comments and spaces removed by trim marks are left
/// out.
pub(super) fn words(source: &str) -> Result<Vec<Word<'_>>, Flaw> {
    let mut lexer = Lexer { source, start: 0, at: 0, parens: 0, words: Vec::with_capacity(USUAL) };
    lexer.run()?;
    lexer.start = lexer.at;
    lexer.emit(Kind::End);
    Ok(lexer.words)
}

struct Lexer<'s> {
    source: &'s str,
    start: usize,
    at: usize,
    parens: usize,
    words: Vec<Word<'s>>,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_ascii_digit()
}

// Most templates are ASCII, so the lexer reads bytes, and characters only where a byte is no ASCII: that takes a fourth of the work
// of reading characters.
impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// Returns the byte that is `ahead` bytes from here; 0, which has no meaning anywhere, at the end.
    fn byte(&self, ahead: usize) -> u8 {
        self.source.as_bytes().get(self.at + ahead).copied().unwrap_or_default()
    }

    fn starts_with(&self, pair: [u8; 2]) -> bool {
        self.byte(0) == pair[0] && self.byte(1) == pair[1]
    }

    /// Goes to the next place of two bytes. Returns whether there is one.
    fn find(&mut self, pair: [u8; 2]) -> bool {
        let found = self.source.as_bytes()[self.at..].windows(2).position(|bytes| bytes == pair);
        self.at += found.unwrap_or_default();
        found.is_some()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.at < self.source.len() && accept(self.byte(0)) {
            self.at += 1;
        }
    }

    /// Skips letters, digits and underscores.
    fn skip_word(&mut self) {
        loop {
            self.skip_while(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            match self.byte(0).is_ascii() {
                false if self.peek().is_some_and(is_word) => self.next(),
                _ => return,
            };
        }
    }

    /// Takes the next character if it is in `any`.
    fn accept(&mut self, any: &str) -> bool {
        let found = self.at < self.source.len() && any.as_bytes().contains(&self.byte(0));
        self.at += usize::from(found);
        found
    }

    fn emit(&mut self, kind: Kind) {
        self.words.push(Word { kind, text: &self.source[self.start..self.at], at: self.start });
        self.start = self.at;
    }

    fn flaw(&self, cause: impl Into<String>) -> Flaw {
        Flaw { at: self.start, cause: cause.into() }
    }

    fn run(&mut self) -> Result<(), Flaw> {
        loop {
            if !self.find(*b"{{") {
                self.at = self.source.len();
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                return Ok(());
            }
            let open = self.at;
            let trims = self.byte(2) == b'-' && is_space(self.byte(3));
            if trims {
                let text = &self.source.as_bytes()[self.start..open];
                let spaces = text.iter().rev().take_while(|byte| is_space(**byte)).count();
                self.at = open - spaces;
            }
            if self.at > self.start {
                self.emit(Kind::Text);
            }
            self.start = open;
            self.at = open + 2;
            let mark = if trims { 2 } else { 0 };
            if self.byte(mark) == b'/' && self.byte(mark + 1) == b'*' {
                self.at += mark;
                self.comment()?;
            } else {
                self.emit(Kind::Open);
                self.at += mark;
                self.start = self.at;
                self.action()?;
            }
        }
    }

    /// Returns the length of the closing braces at this place, including a trim mark before them.
    fn close(&self) -> Option<usize> {
        let first = self.byte(0);
        if first == b'}' {
            return (self.byte(1) == b'}').then_some(2);
        }
        let trimmed = is_space(first) && self.byte(1) == b'-' && self.byte(2) == b'}' && self.byte(3) == b'}';
        trimmed.then_some(4)
    }

    /// Skips closing braces of `length` bytes, and the spaces that their trim mark removes.
    fn after_close(&mut self, length: usize) {
        self.at += length;
        if length > 2 {
            self.skip_while(is_space);
        }
        self.start = self.at;
    }

    fn comment(&mut self) -> Result<(), Flaw> {
        self.at += 2;
        if !self.find(*b"*/") {
            return Err(self.flaw("the comment is not closed by */"));
        }
        self.at += 2;
        let Some(length) = self.close() else {
            return Err(self.flaw("the closing }} must follow the */ of a comment at once, or as \" -}}\""));
        };
        self.after_close(length);
        Ok(())
    }

    fn action(&mut self) -> Result<(), Flaw> {
        self.parens = 0;
        let opened = self.start;
        loop {
            self.start = self.at;
            if let Some(length) = self.close() {
                if self.parens > 0 {
                    return Err(self.flaw("a ( is not closed"));
                }
                self.start = self.at + length - 2;
                self.words.push(Word { kind: Kind::Close, text: "}}", at: self.start });
                self.after_close(length);
                return Ok(());
            }
            let Some(c) = self.next() else {
                return Err(Flaw { at: opened, cause: "the action is not closed by }}".into() });
            };
            match c {
                ' ' | '\t' | '\r' | '\n' => self.space(),
                '=' => self.emit(Kind::Assign),
                ':' if self.accept("=") => self.emit(Kind::Declare),
                ':' => return Err(self.flaw("a : must be followed by =")),
                '|' => self.emit(Kind::Pipe),
                '"' => self.quoted('"', "string")?,
                '\'' => self.quoted('\'', "character")?,
                '`' => match self.rest().find('`') {
                    Some(end) => {
                        self.at += end + 1;
                        self.emit(Kind::String);
                    }
                    None => return Err(self.flaw("the raw string is not closed by a back-quote")),
                },
                '$' => self.name(Kind::Variable)?,
                '.' if !self.byte(0).is_ascii_digit() => self.name(Kind::Field)?,
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                '(' => {
                    self.parens += 1;
                    self.emit(Kind::OpenParen);
                }
                ')' if self.parens == 0 => return Err(self.flaw("there is no ( for this )")),
                ')' => {
                    self.parens -= 1;
                    self.emit(Kind::CloseParen);
                }
                ',' => self.emit(Kind::Comma),
                _ if is_word(c) => self.identifier()?,
                ' '..='~' => self.emit(Kind::Other),
                _ => return Err(self.flaw(format!("the character {c:?} has no meaning in an action"))),
            }
        }
    }

    /// Reads a run of spaces. The last space belongs to a trim mark after it.
    fn space(&mut self) {
        self.skip_while(is_space);
        if self.byte(0) == b'-' && self.byte(1) == b'}' && self.byte(2) == b'}' {
            self.at -= 1;
        }
        if self.at > self.start {
            self.emit(Kind::Space);
        }
    }

    /// Fails if the character after the word cannot follow it.
    fn terminated(&self) -> Result<(), Flaw> {
        let next = self.byte(0);
        if is_space(next)
            || matches!(next, b'.' | b',' | b'|' | b':' | b')' | b'(')
            || self.starts_with(*b"}}")
        {
            return Ok(());
        }
        match self.peek() {
            None => Ok(()),
            Some(c) => Err(Flaw {
                at: self.at,
                cause: format!(
                    "the character {c:?} cannot follow {:?}; reach keys with such characters by index",
                    &self.source[self.start..self.at]
                ),
            }),
        }
    }

    fn name(&mut self, kind: Kind) -> Result<(), Flaw> {
        self.skip_word();
        self.terminated()?;
        let alone = self.at == self.start + 1;
        self.emit(if alone && kind == Kind::Field { Kind::Dot } else { kind });
        Ok(())
    }

    fn identifier(&mut self) -> Result<(), Flaw> {
        self.skip_word();
        self.terminated()?;
        let kind = match &self.source[self.start..self.at] {
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    /// Reads a string or character up to `mark`, which must be on the same line.
    fn quoted(&mut self, mark: char, what: &str) -> Result<(), Flaw> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.next();
                }
                Some('\n' | '\\') | None => {
                    return Err(self.flaw(format!("the {what} is not closed on its line")));
                }
                Some(c) if c == mark => break,
                Some(_) => {}
            }
        }
        self.emit(if mark == '"' { Kind::String } else { Kind::Character });
        Ok(())
    }

    fn number(&mut self) -> Result<(), Flaw> {
        self.at = self.start;
        let mut good = self.digits();
        let mut kind = Kind::Number;
        if good && matches!(self.peek(), Some('+' | '-')) {
            kind = Kind::Complex;
            good = self.digits() && self.source[..self.at].ends_with('i');
        }
        if !good {
            let text = &self.source[self.start..self.at];
            return Err(self.flaw(format!("{text:?} is not a number")));
        }
        self.emit(kind);
        Ok(())
    }

    fn digits(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            for (prefix, set) in [("xX", "0123456789abcdefABCDEF_"), ("oO", "01234567_"), ("bB", "01_")] {
                if self.accept(prefix) {
                    digits = set;
                    break;
                }
            }
        }
        let is_digit = |byte: u8| digits.as_bytes().contains(&byte);
        self.skip_while(is_digit);
        if self.accept(".") {
            self.skip_while(is_digit);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if !exponent.is_empty() && self.accept(exponent) {
            self.accept("+-");
            self.skip_while(|byte| byte.is_ascii_digit() || byte == b'_');
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }
}
