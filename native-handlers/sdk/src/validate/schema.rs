//! A value against a JSON Schema, by Pydantic's lax rules and in its words.

use std::cmp::Ordering;

use serde_json::{Map, Value as Schema};

use super::{scalar, Item, Step, Value};

/// Named schemas, as `$ref` finds them.
pub(crate) type Definitions = Map<String, Schema>;

/// Where named schemas lie in an OpenAPI document.
pub(crate) const REF_PREFIX: &str = "#/components/schemas/";

/// Checks `value` and gives it converted to the types the schema wants. What is wrong is appended to `items`.
pub(crate) fn check(
    value: &Value,
    schema: &Schema,
    definitions: &Definitions,
    loc: Vec<Step>,
    items: &mut Vec<Item>,
) -> Value {
    Check { definitions, loc, items }.value(value, schema)
}

/// Whether a value that deserializes may still break the schema.
pub(crate) fn is_constrained(schema: &Schema, definitions: &Definitions) -> bool {
    fn search(schema: &Schema, definitions: &Definitions, seen: &mut Vec<String>) -> bool {
        const LIMITS: [&str; 8] = [
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
        ];
        match schema {
            Schema::Object(fields) => {
                // Limits that the Rust type has by itself are kept by deserializing: unsigned and small integers, tuples.
                let inherent = fields.get("format").and_then(Schema::as_str).is_some_and(|format| {
                    let limit = |name: &str| fields.get(name).and_then(Schema::as_i64);
                    integer_limits(format).is_some_and(|(low, high)| {
                        let low = i64::try_from(low).ok();
                        let high = i64::try_from(high).ok();
                        limit("minimum").is_none_or(|given| Some(given) == low)
                            && limit("maximum").is_none_or(|given| Some(given) == high)
                            && !fields.contains_key("exclusiveMinimum")
                            && !fields.contains_key("exclusiveMaximum")
                    })
                }) || fields.contains_key("prefixItems");
                if !inherent && LIMITS.iter().any(|name| fields.contains_key(*name)) {
                    return true;
                }
                if let Some(name) =
                    fields.get("$ref").and_then(Schema::as_str).and_then(|path| path.strip_prefix(REF_PREFIX))
                {
                    if !seen.iter().any(|known| known == name) {
                        seen.push(name.to_owned());
                        if definitions.get(name).is_some_and(|target| search(target, definitions, seen)) {
                            return true;
                        }
                    }
                }
                fields.iter().any(|(name, inner)| {
                    !matches!(name.as_str(), "default" | "examples" | "enum" | "const")
                        && search(inner, definitions, seen)
                })
            }
            Schema::Array(list) => list.iter().any(|inner| search(inner, definitions, seen)),
            _ => false,
        }
    }
    search(schema, definitions, &mut Vec::new())
}

struct Check<'a> {
    definitions: &'a Definitions,
    loc: Vec<Step>,
    items: &'a mut Vec<Item>,
}

impl Check<'_> {
    fn report(&mut self, kind: &'static str, msg: impl Into<String>, input: &Value) {
        self.items.push(Item::new(kind, &self.loc, msg, input));
    }

    fn at<R>(&mut self, step: Step, check: impl FnOnce(&mut Self) -> R) -> R {
        self.loc.push(step);
        let result = check(self);
        self.loc.pop();
        result
    }

    fn value(&mut self, value: &Value, schema: &Schema) -> Value {
        let Some(schema) = schema.as_object() else { return value.clone() };
        if let Some(path) = schema.get("$ref").and_then(Schema::as_str) {
            let definitions = self.definitions;
            return match path.strip_prefix(REF_PREFIX).and_then(|name| definitions.get(name)) {
                Some(target) => self.value(value, target),
                None => value.clone(),
            };
        }
        if let Some(variants) = alternatives(schema) {
            return self.alternatives(value, variants);
        }
        if let Some(allowed) = choices(schema) {
            return self.choice(value, &allowed);
        }
        let types = types(schema);
        if matches!(value, Value::Null) && types.contains(&"null") {
            return Value::Null;
        }
        match types.iter().find(|name| **name != "null") {
            Some(&"integer") => self.integer(value, schema),
            Some(&"number") => self.number(value, schema),
            Some(&"boolean") => self.boolean(value),
            Some(&"string") => self.string(value, schema),
            Some(&"array") => self.array(value, schema),
            Some(&"object") => self.object(value, schema),
            _ => value.clone(),
        }
    }

    /// `anyOf` and `oneOf`: an optional type, an enum written variant by variant, or a real union. What fits none of a
    /// union's types is left to the Rust type to refuse.
    fn alternatives(&mut self, value: &Value, variants: &[Schema]) -> Value {
        let is_null = |schema: &Schema| schema.get("type").and_then(Schema::as_str) == Some("null");
        if matches!(value, Value::Null) && variants.iter().any(is_null) {
            return Value::Null;
        }
        let others: Vec<&Schema> = variants.iter().filter(|variant| !is_null(variant)).collect();
        if let [only] = others[..] {
            return self.value(value, only);
        }
        let allowed: Option<Vec<Vec<String>>> =
            others.iter().map(|variant| variant.as_object().and_then(choices)).collect();
        if let Some(allowed) = allowed {
            return self.choice(value, &allowed.concat());
        }
        for variant in others {
            let mut items = Vec::new();
            let converted = check(value, variant, self.definitions, self.loc.clone(), &mut items);
            if items.is_empty() {
                return converted;
            }
        }
        value.clone()
    }

    fn choice(&mut self, value: &Value, allowed: &[String]) -> Value {
        if let Value::Str(text) = value {
            if allowed.contains(text) {
                return value.clone();
            }
        }
        let quoted: Vec<String> = allowed.iter().map(|choice| format!("'{choice}'")).collect();
        let expected = match quoted.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        let item = Item::new("enum", &self.loc, format!("Input should be {expected}"), value);
        self.items.push(item.with_ctx("expected", Value::Str(expected)));
        value.clone()
    }

    fn integer(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
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
        if self.limits(value, schema, |limit| compare_digits(&digits, limit)) {
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

    fn number(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
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
        self.limits(value, schema, |limit| number.partial_cmp(&limit.as_f64()?));
        Value::Float(number)
    }

    fn boolean(&mut self, value: &Value) -> Value {
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

    fn string(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
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
        }
        value.clone()
    }

    fn array(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
        let Value::Array(elements) = value else {
            self.report("list_type", "Input should be a valid list", value);
            return value.clone();
        };
        let before = self.items.len();
        let limit = |name: &str| schema.get(name).and_then(Schema::as_u64);
        let plural = |count: u64| if count == 1 { "item" } else { "items" };
        let length = elements.len() as u64;
        let too = match (limit("minItems"), limit("maxItems")) {
            _ if schema.contains_key("prefixItems") => None,
            (Some(min), _) if length < min => Some(("too_short", "at least", "min_length", min)),
            (_, Some(max)) if length > max => Some(("too_long", "at most", "max_length", max)),
            _ => None,
        };
        let positional = schema.get("prefixItems").and_then(Schema::as_array);
        let each = schema.get("items");
        let mut converted = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let schema = positional.and_then(|list| list.get(index)).or(each);
            converted.push(match schema {
                Some(schema) => self.at(Step::Index(index), |check| check.value(element, schema)),
                None => element.clone(),
            });
        }
        if let Some((kind, bound, name, limit)) = too.filter(|_| self.items.len() == before) {
            let msg =
                format!("List should have {bound} {limit} {} after validation, not {length}", plural(limit));
            let item = Item::new(kind, &self.loc, msg, value)
                .with_ctx("field_type", Value::Str("List".to_owned()))
                .with_ctx(name, Value::Int(limit.to_string()))
                .with_ctx("actual_length", Value::Int(length.to_string()));
            self.items.push(item);
        }
        Value::Array(converted)
    }

    fn object(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
        let properties = schema.get("properties").and_then(Schema::as_object);
        let Value::Object(fields) = value else {
            if properties.is_some() {
                self.report(
                    "model_attributes_type",
                    "Input should be a valid dictionary or object to extract fields from",
                    value,
                );
            } else {
                self.report("dict_type", "Input should be a valid dictionary", value);
            }
            return value.clone();
        };
        let mut converted = fields.clone();
        let required = schema.get("required").and_then(Schema::as_array);
        for (name, property) in properties.into_iter().flatten() {
            let index = fields.iter().position(|(given, _)| given == name);
            self.at(Step::Name(name.clone()), |check| match index {
                Some(index) => converted[index].1 = check.value(&fields[index].1, property),
                None if required.is_some_and(|list| list.iter().any(|required| required == name)) => {
                    let item = Item::missing(&check.loc, value);
                    check.items.push(item);
                }
                None => {}
            });
        }
        let rest = schema.get("additionalProperties");
        for (index, (name, field)) in fields.iter().enumerate() {
            if properties.is_some_and(|properties| properties.contains_key(name)) {
                continue;
            }
            self.at(Step::Name(name.clone()), |check| match rest {
                Some(Schema::Bool(false)) => {
                    check.report("extra_forbidden", "Extra inputs are not permitted", field)
                }
                Some(schema) => converted[index].1 = check.value(field, schema),
                None => {}
            });
        }
        Value::Object(converted)
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
            ("exclusiveMinimum", ("greater_than", "greater than", "gt"), Ordering::is_gt),
            ("minimum", ("greater_than_equal", "greater than or equal to", "ge"), Ordering::is_ge),
            ("exclusiveMaximum", ("less_than", "less than", "lt"), Ordering::is_lt),
            ("maximum", ("less_than_equal", "less than or equal to", "le"), Ordering::is_le),
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

/// The lists of a schema that is one of several.
fn alternatives(schema: &Map<String, Schema>) -> Option<&Vec<Schema>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Schema::as_array)
}

/// The strings a schema allows, where it lists them.
fn choices(schema: &Map<String, Schema>) -> Option<Vec<String>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only.as_str()?.to_owned()]);
    }
    let listed = schema.get("enum")?.as_array()?;
    listed
        .iter()
        .filter(|choice| !choice.is_null())
        .map(|choice| choice.as_str().map(str::to_owned))
        .collect()
}

fn types(schema: &Map<String, Schema>) -> Vec<&str> {
    match schema.get("type") {
        Some(Schema::String(name)) => vec![name],
        Some(Schema::Array(names)) => names.iter().filter_map(Schema::as_str).collect(),
        _ => Vec::new(),
    }
}

/// What a Rust integer of this format can hold.
fn integer_limits(format: &str) -> Option<(i128, i128)> {
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
