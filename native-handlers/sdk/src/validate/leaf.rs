//! Numbers, booleans and text against a schema.

use std::cmp::Ordering;

use serde_json::{Map, Value as Schema};

use super::schema::Check;
use super::{scalar, Item, Value};

impl Check<'_> {
    pub(super) fn integer(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
        let digits = match value {
            Value::Int(digits) => digits.clone(),
            Value::Bool(value) => u8::from(*value).to_string(),
            Value::Float(number) if !number.is_finite() => {
                self.report("finite_number", "Input should be a finite number", value);
                return value.clone();
            }
            Value::Float(number) if number.fract() != 0.0 => {
                self.report(
                    "int_from_float",
                    "Input should be a valid integer, got a number with a fractional part",
                    value,
                );
                return value.clone();
            }
            Value::Float(number) => format!("{number:.0}"),
            Value::Str(text) => match scalar::integer(text) {
                Some(digits) => digits,
                None => {
                    self.report(
                        "int_parsing",
                        "Input should be a valid integer, unable to parse string as an integer",
                        value,
                    );
                    return value.clone();
                }
            },
            _ => {
                self.report("int_type", "Input should be a valid integer", value);
                return value.clone();
            }
        };
        let divides = |by: &serde_json::Number| match (digits.parse::<i128>(), by.as_i128()) {
            (Ok(number), Some(by)) if by != 0 => number % by == 0,
            _ => true,
        };
        if self.multiple(value, schema, divides)
            && self.limits(value, schema, |limit| compare_digits(&digits, limit))
        {
            // The type's own limits, where the schema leaves them out.
            if let Some((low, high)) = schema.get("format").and_then(Schema::as_str).and_then(integer_limits)
            {
                let beyond = |limit: i128| match digits.parse::<i128>() {
                    Ok(number) => number.cmp(&limit),
                    Err(_) if digits.starts_with('-') => Ordering::Less,
                    Err(_) => Ordering::Greater,
                };
                if beyond(low) == Ordering::Less {
                    self.limit(
                        ("greater_than_equal", "greater than or equal to", "ge"),
                        &low.to_string(),
                        value,
                    );
                } else if beyond(high) == Ordering::Greater {
                    self.limit(("less_than_equal", "less than or equal to", "le"), &high.to_string(), value);
                }
            }
        }
        Value::Int(digits)
    }

    pub(super) fn number(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
        let number = match value {
            Value::Float(number) => *number,
            Value::Int(digits) => digits.parse().unwrap_or(f64::INFINITY),
            Value::Bool(value) => f64::from(u8::from(*value)),
            Value::Str(text) => match scalar::float(text) {
                Some(number) => number,
                None => {
                    self.report(
                        "float_parsing",
                        "Input should be a valid number, unable to parse string as a number",
                        value,
                    );
                    return value.clone();
                }
            },
            _ => {
                self.report("float_type", "Input should be a valid number", value);
                return value.clone();
            }
        };
        // JSON, through which a converted value goes, has no way to write the others.
        if !number.is_finite() && !matches!(value, Value::Str(_)) {
            self.report("finite_number", "Input should be a finite number", value);
            return value.clone();
        }
        // As close to a multiple as Pydantic wants it.
        let divides = |by: &serde_json::Number| {
            let by = by.as_f64().unwrap_or(number);
            let rest = (number % by).abs();
            let tolerance = number.abs() / 1e9;
            rest <= tolerance || (rest - by).abs() <= tolerance
        };
        if self.multiple(value, schema, divides) {
            self.limits(value, schema, |limit| number.partial_cmp(&limit.as_f64()?));
        }
        Value::Float(number)
    }

    pub(super) fn boolean(&mut self, value: &Value) -> Value {
        let parsed = match value {
            Value::Bool(value) => Some(*value),
            Value::Int(digits) => match digits.as_str() {
                "0" => Some(false),
                "1" => Some(true),
                _ => None,
            },
            Value::Float(number) if *number == 0.0 => Some(false),
            Value::Float(number) if *number == 1.0 => Some(true),
            Value::Str(text) => scalar::boolean(text),
            Value::Float(number) if number.fract() == 0.0 => None,
            _ => {
                self.report("bool_type", "Input should be a valid boolean", value);
                return value.clone();
            }
        };
        match parsed {
            Some(parsed) => Value::Bool(parsed),
            None => {
                self.report(
                    "bool_parsing",
                    "Input should be a valid boolean, unable to interpret input",
                    value,
                );
                value.clone()
            }
        }
    }

    pub(super) fn string(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
        let Value::Str(text) = value else {
            self.report("string_type", "Input should be a valid string", value);
            return value.clone();
        };
        let length = text.chars().count() as u64;
        let limit = |name: &str| schema.get(name).and_then(Schema::as_u64);
        let plural = |count: u64| if count == 1 { "character" } else { "characters" };
        if let Some(min) = limit("minLength").filter(|min| length < *min) {
            let msg = format!("String should have at least {min} {}", plural(min));
            let item = Item::new("string_too_short", &self.loc, msg, value);
            self.items.push(item.with_ctx("min_length", Value::Int(min.to_string())));
        } else if let Some(max) = limit("maxLength").filter(|max| length > *max) {
            let msg = format!("String should have at most {max} {}", plural(max));
            let item = Item::new("string_too_long", &self.loc, msg, value);
            self.items.push(item.with_ctx("max_length", Value::Int(max.to_string())));
        } else if let Some(pattern) = schema.get("pattern").and_then(Schema::as_str) {
            if !self.definitions.matches(pattern, text) {
                let msg = format!("String should match pattern '{pattern}'");
                let item = Item::new("string_pattern_mismatch", &self.loc, msg, value);
                self.items.push(item.with_ctx("pattern", Value::Str(pattern.to_owned())));
            }
        }
        value.clone()
    }

    /// Checks the limits the schema sets; whether all hold. `compare` compares the value with a limit.
    fn limits(
        &mut self,
        value: &Value,
        schema: &Map<String, Schema>,
        compare: impl Fn(&serde_json::Number) -> Option<Ordering>,
    ) -> bool {
        type Limit = (&'static str, (&'static str, &'static str, &'static str), fn(Ordering) -> bool);
        const LIMITS: [Limit; 4] = [
            ("maximum", ("less_than_equal", "less than or equal to", "le"), Ordering::is_le),
            ("exclusiveMaximum", ("less_than", "less than", "lt"), Ordering::is_lt),
            ("minimum", ("greater_than_equal", "greater than or equal to", "ge"), Ordering::is_ge),
            ("exclusiveMinimum", ("greater_than", "greater than", "gt"), Ordering::is_gt),
        ];
        for (keyword, words, holds) in LIMITS {
            if let Some(Schema::Number(limit)) = schema.get(keyword) {
                if !compare(limit).is_some_and(holds) {
                    self.limit(words, &limit.to_string(), value);
                    return false;
                }
            }
        }
        true
    }

    /// Checks `multipleOf`; whether it holds.
    fn multiple(
        &mut self,
        value: &Value,
        schema: &Map<String, Schema>,
        divides: impl Fn(&serde_json::Number) -> bool,
    ) -> bool {
        match schema.get("multipleOf") {
            Some(Schema::Number(by)) if !divides(by) => {
                self.limit(("multiple_of", "a multiple of", "multiple_of"), &by.to_string(), value);
                false
            }
            _ => true,
        }
    }

    fn limit(&mut self, (kind, words, name): (&'static str, &str, &str), limit: &str, value: &Value) {
        // Pydantic leaves out a fraction of zero in the message.
        let shown = limit.strip_suffix(".0").unwrap_or(limit);
        let number = match limit.parse::<f64>() {
            Ok(number) if limit.contains(['.', 'e', 'E']) => Value::Float(number),
            _ => Value::Int(limit.to_owned()),
        };
        let item = Item::new(kind, &self.loc, format!("Input should be {words} {shown}"), value);
        self.items.push(item.with_ctx(name, number));
    }
}

/// What a Rust integer of this format can hold.
pub(super) fn integer_limits(format: &str) -> Option<(i128, i128)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        _ => return None,
    })
}

fn compare_digits(digits: &str, limit: &serde_json::Number) -> Option<Ordering> {
    match (digits.parse::<i128>(), limit.as_i128()) {
        (Ok(number), Some(limit)) => Some(number.cmp(&limit)),
        _ => digits.parse::<f64>().ok()?.partial_cmp(&limit.as_f64()?),
    }
}
