//! The text form read back, for tests and debugging: the inverse of [`print`](super::print).

use crate::ir::builder::Builder;
use crate::ir::func::{Args, Attr, Contraction, Func, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use crate::ir::verify::verify;
use std::sync::Arc;

/// Why a text is not a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What was expected, or which invariant is broken.
    pub message: String,
}

/// The function with this text form. Nothing is folded, and the invariants of a function are
/// checked.
pub fn parse(text: &str) -> Result<Func, ParseError> {
    let mut cursor = Cursor { text, at: 0 };
    let func = func(&mut cursor)?;
    cursor.skip_space();
    if cursor.at < text.len() {
        return cursor.fail("the end");
    }
    verify(&func).map_err(|error| ParseError { line: 1, message: error.to_string() })?;
    Ok(func)
}

fn func(c: &mut Cursor<'_>) -> Result<Func, ParseError> {
    c.expect("func")?;
    let mut b = Builder::new(c.string()?);
    let params = c.list("(", ")", port)?;
    c.expect("{")?;
    let mut named = params.iter();
    while !c.take("return") {
        let id = value(c)?;
        c.expect("=")?;
        let word = c.word()?;
        let Some(op) = Op::by_name(word) else { return c.fail("the name of an op") };
        let args: Args =
            if c.peek("(") { c.list("(", ")", value)?.into_iter().collect() } else { Args::new() };
        let attr = attr(c, op)?;
        c.expect(":")?;
        let ty = ty(c)?;
        let made = match op {
            Op::Param => match named.next() {
                Some((name, port)) if *port == id => b.param(name.clone(), ty),
                _ => return c.fail("parameters in order"),
            },
            op => b.intern(op, attr, args, ty),
        };
        if made != id {
            return c.fail("a new node numbered in order");
        }
    }
    let results = c.list("(", ")", port)?;
    c.expect("}")?;
    if named.next().is_some() || results.iter().any(|(_, value)| value.0 as usize >= b.len()) {
        return c.fail("ports that name nodes");
    }
    Ok(b.finish(results))
}

fn port(c: &mut Cursor<'_>) -> Result<(Arc<str>, ValueId), ParseError> {
    let name = c.string()?;
    c.expect(":")?;
    Ok((name.into(), value(c)?))
}

fn value(c: &mut Cursor<'_>) -> Result<ValueId, ParseError> {
    c.expect("%")?;
    c.number().map(ValueId)
}

fn ty(c: &mut Cursor<'_>) -> Result<Type, ParseError> {
    let dtype = dtype(c)?;
    let shape = if c.peek("[") { shape(c)? } else { Shape::scalar() };
    Ok(Type { dtype, shape })
}

fn dtype(c: &mut Cursor<'_>) -> Result<DType, ParseError> {
    let word = c.word()?;
    let all = [DType::F64, DType::F32, DType::I64, DType::Bool];
    match all.into_iter().find(|dtype| dtype.name() == word) {
        Some(dtype) => Ok(dtype),
        None => c.fail("an element type"),
    }
}

fn shape(c: &mut Cursor<'_>) -> Result<Shape, ParseError> {
    Ok(Shape(c.list("[", "]", Cursor::number)?.into_iter().collect()))
}

fn attr(c: &mut Cursor<'_>, op: Op) -> Result<Attr, ParseError> {
    if c.take("#") {
        Ok(Attr::Index(c.number()?))
    } else if c.take("^") {
        Ok(Attr::Index(c.number::<i32>()? as u32))
    } else if c.take("axes") {
        Ok(Attr::Axes(c.list("[", "]", Cursor::number)?.into()))
    } else if c.take("axis") {
        Ok(Attr::Axis(c.number()?))
    } else if c.take("shape") {
        let shape = shape(c)?;
        if c.take("axes") {
            Ok(Attr::Broadcast { shape: shape.into(), axes: c.list("[", "]", Cursor::number)?.into() })
        } else {
            Ok(Attr::Shape(shape))
        }
    } else if c.take("ranges") {
        Ok(Attr::Ranges(c.list("[", "]", |c| pair(c, ".."))?.into()))
    } else if c.take("pads") {
        Ok(Attr::Pads(c.list("[", "]", |c| pair(c, "+"))?.into()))
    } else if c.take("windows") {
        Ok(Attr::Windows(c.list("[", "]", |c| pair(c, ":"))?.into()))
    } else if c.take("order") {
        Ok(Attr::Order(c.number()?))
    } else if c.take("to") {
        Ok(Attr::To(dtype(c)?))
    } else if op == Op::Contract {
        let lhs = c.list("[", "]", Cursor::number)?.into();
        c.expect(",")?;
        let rhs = c.list("[", "]", Cursor::number)?.into();
        c.expect("->")?;
        let out = c.list("[", "]", Cursor::number)?.into();
        Ok(Attr::Contract(Contraction { lhs, rhs, out }.into()))
    } else if c.peek("[") {
        Ok(Attr::Elements(c.list("[", "]", bits)?.into()))
    } else if op == Op::Constant {
        Ok(Attr::Splat(bits(c)?))
    } else {
        Ok(Attr::None)
    }
}

fn pair(c: &mut Cursor<'_>, between: &str) -> Result<(u32, u32), ParseError> {
    let first = c.number()?;
    c.expect(between)?;
    Ok((first, c.number()?))
}

fn bits(c: &mut Cursor<'_>) -> Result<u64, ParseError> {
    if c.take("nan:") {
        let digits = c.span(|ch| ch.is_ascii_hexdigit());
        return match u64::from_str_radix(digits, 16) {
            Ok(bits) => Ok(bits),
            Err(_) => c.fail("sixteen hexadecimal digits"),
        };
    }
    let digits = c.span(|ch| ch.is_ascii_alphanumeric() || "+-.".contains(ch));
    match digits.parse::<f64>() {
        Ok(value) => Ok(value.to_bits()),
        Err(_) => c.fail("a number"),
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn peek(&mut self, token: &str) -> bool {
        self.skip_space();
        self.rest().starts_with(token)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.take(token) { Ok(()) } else { self.fail(&format!("`{token}`")) }
    }

    fn fail<T>(&self, expected: &str) -> Result<T, ParseError> {
        let line = self.text[..self.at].matches('\n').count() + 1;
        let found: String = self.rest().chars().take(20).collect();
        Err(ParseError { line, message: format!("expected {expected} before {found:?}") })
    }

    fn span(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        self.skip_space();
        let rest = self.rest();
        let length = rest.find(|ch| !belongs(ch)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn word(&mut self) -> Result<&'a str, ParseError> {
        let word = self.span(|ch| ch.is_ascii_alphanumeric() || ch == '_');
        if word.is_empty() { self.fail("a word") } else { Ok(word) }
    }

    fn number<T: std::str::FromStr>(&mut self) -> Result<T, ParseError> {
        match self.span(|ch| ch.is_ascii_digit() || ch == '-').parse() {
            Ok(number) => Ok(number),
            Err(_) => self.fail("a number"),
        }
    }

    /// A quoted string as `{:?}` prints it.
    fn string(&mut self) -> Result<String, ParseError> {
        self.expect("\"")?;
        let mut string = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, ch)) = chars.next() {
            match ch {
                '"' => {
                    self.at += at + 1;
                    return Ok(string);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\' | '\''))) => string.push(escaped),
                    Some((_, 'n')) => string.push('\n'),
                    Some((_, 't')) => string.push('\t'),
                    _ => return self.fail("a string without unusual escapes"),
                },
                ch => string.push(ch),
            }
        }
        self.fail("the end of a string")
    }

    fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        item: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.expect(open)?;
        let mut items = Vec::new();
        while !self.take(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }
}
