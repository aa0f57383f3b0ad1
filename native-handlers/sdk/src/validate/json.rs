//! JSON as Python's `json` module reads and writes it: its laxness (NaN, large integers, the last of two equal keys) and its
//! error messages with their positions. Only bodies that the fast parser refused come here.

use std::collections::hash_map::{Entry, HashMap};
use std::fmt;

use super::number;

/// A JSON value. Integers keep their digits, objects their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Decimal digits, with a sign if negative.
    Int(String),
    Float(f64),
    Str(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// Why a text is not JSON, as `json.JSONDecodeError` says it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsonError {
    /// Message and position, counted in characters.
    Decode { msg: &'static str, pos: usize },
    /// Not text at all, or nested too deeply: Python raises something else.
    Unreadable,
}

/// Deeper nesting is refused, as Python's recursion limit does it.
const MAX_DEPTH: usize = 400;

/// What `json.loads(bytes)` gives.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::Unreadable)?;
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    scanner.document().map_err(|fault| match fault {
        Fault::At(msg, byte) => JsonError::Decode { msg, pos: text[..byte].chars().count() },
        Fault::Depth => JsonError::Unreadable,
    })
}

enum Fault {
    /// A message and the byte it is about.
    At(&'static str, usize),
    Depth,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<Value, Fault> {
        self.skip_space();
        let value = self.value()?;
        self.skip_space();
        if self.at < self.text.len() {
            return Err(Fault::At("Extra data", self.at));
        }
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        const LITERALS: [(&str, Value); 6] = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        match self.peek() {
            Some(b'"') => return self.string().map(Value::Str),
            Some(b'{') => return self.nested(Scanner::object),
            Some(b'[') => return self.nested(Scanner::array),
            _ => {}
        }
        for (literal, value) in LITERALS {
            if self.text[self.at..].starts_with(literal) {
                self.at += literal.len();
                return Ok(value);
            }
        }
        self.number().ok_or(Fault::At("Expecting value", self.at))
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        let value = parse(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, Fault> {
        let mut fields: Vec<(String, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(Fault::At("Expecting property name enclosed in double quotes", self.at));
            }
            let name = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(Fault::At("Expecting ':' delimiter", self.at));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value()?;
            // The last of two equal keys counts, at the place of the first.
            match places.entry(name) {
                Entry::Occupied(place) => fields[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    fields.push((place.key().clone(), value));
                    place.insert(fields.len() - 1);
                }
            }
            if self.ends(b'}')? {
                return Ok(Value::Object(fields));
            }
        }
    }

    fn array(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.ends(b']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    /// After an element: whether `close` follows; else there must be a comma.
    fn ends(&mut self, close: u8) -> Result<bool, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b) if b == close => {
                self.at += 1;
                Ok(true)
            }
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(false)
            }
            _ => Err(Fault::At("Expecting ',' delimiter", self.at)),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let unterminated = Fault::At("Unterminated string starting at", self.at);
        let mut value = String::new();
        self.at += 1;
        loop {
            let plain =
                self.text[self.at..].bytes().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)).count();
            value.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.peek() {
                None => return Err(unterminated),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    let Some(escape) = self.text.as_bytes().get(self.at + 1) else {
                        return Err(unterminated);
                    };
                    value.push(self.escape(*escape)?);
                }
                Some(_) => return Err(Fault::At("Invalid control character at", self.at)),
            }
        }
    }

    /// The character an escape stands for; `self.at` is at the backslash.
    fn escape(&mut self, escape: u8) -> Result<char, Fault> {
        let simple = match escape {
            b'"' | b'\\' | b'/' => escape as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(Fault::At("Invalid \\escape", self.at)),
        };
        self.at += 2;
        Ok(simple)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        const MSG: &str = "Invalid \\uXXXX escape";
        let start = self.at + 1;
        let high = self.code_unit().ok_or(Fault::At(MSG, start))?;
        if !(0xd800..=0xdbff).contains(&high) {
            // Half of a pair alone: Python keeps it, but it is no character, and Rust's strings have no place for it.
            return char::from_u32(high).ok_or(Fault::At(MSG, start));
        }
        let low_start = self.at + 1;
        let low = self.text[self.at..].starts_with("\\u").then(|| self.code_unit()).flatten();
        match low {
            Some(low @ 0xdc00..=0xdfff) => char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                .ok_or(Fault::At(MSG, start)),
            None if self.text[self.at..].starts_with("\\u") => Err(Fault::At(MSG, low_start)),
            _ => Err(Fault::At(MSG, start)),
        }
    }

    /// The number in `\uXXXX`. Like Python's, this wants at least one character to follow.
    fn code_unit(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at + 2..self.at + 6)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) || self.at + 6 >= self.text.len() {
            return None;
        }
        self.at += 6;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn number(&mut self) -> Option<Value> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits =
            |from: usize| rest[from.min(rest.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        let negative = usize::from(rest.first() == Some(&b'-'));
        let mut end = match rest.get(negative)? {
            b'0' => negative + 1,
            b'1'..=b'9' => negative + digits(negative),
            _ => return None,
        };
        let whole = end;
        if rest.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
        }
        if matches!(rest.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let text = &self.text[self.at..self.at + end];
        self.at += end;
        if end > whole {
            return text.parse().ok().map(Value::Float);
        }
        Some(Value::Int(if text == "-0" { "0" } else { text }.to_owned()))
    }
}

impl fmt::Display for Value {
    /// Compact JSON as Starlette's `JSONResponse` renders it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(digits) => f.write_str(digits),
            // Starlette refuses to render these; `null` keeps the answer readable.
            Value::Float(number) if !number.is_finite() => f.write_str("null"),
            Value::Float(number) => f.write_str(&number::repr(*number)),
            Value::Str(text) => write_string(text, f),
            Value::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Value::Object(fields) => {
                f.write_str("{")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    write_string(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn write_string(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use fmt::Write as _;
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::{parse, JsonError};

    #[test]
    fn errors_are_those_of_pythons_decoder() {
        // Messages and positions as CPython 3.11's `json.loads` gives them.
        for (text, msg, pos) in [
            ("{", "Expecting property name enclosed in double quotes", 1),
            (r#"{"name":"a","price":1,}"#, "Expecting property name enclosed in double quotes", 22),
            (r#"{"name":"a" "price":1}"#, "Expecting ',' delimiter", 12),
            ("{'a':1}", "Expecting property name enclosed in double quotes", 1),
            (r#"{"a":1} x"#, "Extra data", 8),
            (r#"{"a":tru}"#, "Expecting value", 5),
            ("{\"a\":\"\u{1}\"}", "Invalid control character at", 6),
            (r#"{"a":"\x"}"#, "Invalid \\escape", 6),
            (r#"{"a":"\u12"}"#, "Invalid \\uXXXX escape", 7),
            (r#"{"a":"abc"#, "Unterminated string starting at", 5),
            (r#"{"a":"#, "Expecting value", 5),
            (r#"{"a""#, "Expecting ':' delimiter", 4),
            ("[1,]", "Expecting value", 3),
            ("[1 2]", "Expecting ',' delimiter", 3),
            ("nope", "Expecting value", 0),
            (r#"{"a":1"#, "Expecting ',' delimiter", 6),
            ("[", "Expecting value", 1),
            ("-", "Expecting value", 0),
            (r#"{"a":.5}"#, "Expecting value", 5),
            (r#"{"a":01}"#, "Expecting ',' delimiter", 6),
            ("[\"é😀\" 1]", "Expecting ',' delimiter", 6),
            ("", "Expecting value", 0),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::Decode { msg, pos }), "{text}");
        }
        assert_eq!(parse(b"\"\xff\""), Err(JsonError::Unreadable));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err(JsonError::Unreadable));
    }

    #[test]
    fn many_keys_are_read_in_linear_time() {
        // Quadratic, this would be ten thousand million comparisons.
        let text = (0..200_000).map(|n| format!("\"{n}\":{n}")).collect::<Vec<_>>().join(",");
        let Ok(super::Value::Object(fields)) = parse(format!("{{{text},\"7\":0}}").as_bytes()) else {
            panic!("an object")
        };
        assert_eq!((fields.len(), &fields[7].1.to_string()[..]), (200_000, "0"));
    }

    #[test]
    fn values_survive_reading_and_writing() {
        for (text, written) in [
            (r#"{"b":1,"a":[true,false,null]}"#, r#"{"b":1,"a":[true,false,null]}"#),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            (" [ 1 , -0 , 1.50, 1E22, 12345678901234567890123 ] ", "[1,0,1.5,1e+22,12345678901234567890123]"),
            (r#""\ud83d\ude00\u00e9\/\n\u0001\"""#, "\"😀é/\\n\\u0001\\\"\""),
            ("\u{feff}{}", "{}"),
            ("[NaN,-Infinity]", "[null,null]"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().to_string(), written);
        }
    }
}
