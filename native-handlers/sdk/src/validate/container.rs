//! Lists, tuples, sets, dictionaries and models against a schema.

use std::collections::HashSet;

use serde_json::{Map, Value as Schema};

use super::schema::Check;
use super::{Item, Step, Value};

/// What Pydantic calls a container, and where its schema has the limits of its size.
#[derive(Clone, Copy)]
struct Kind {
    error: &'static str,
    name: &'static str,
    title: &'static str,
    min: &'static str,
    max: &'static str,
}

const LIST: Kind = Kind { error: "list_type", name: "list", title: "List", min: "minItems", max: "maxItems" };
const SET: Kind = Kind { error: "set_type", name: "set", title: "Set", ..LIST };
const TUPLE: Kind = Kind { error: "tuple_type", name: "tuple", title: "Tuple", ..LIST };
const DICTIONARY: Kind = Kind {
    error: "dict_type",
    name: "dictionary",
    title: "Dictionary",
    min: "minProperties",
    max: "maxProperties",
};

impl Check<'_> {
    pub(super) fn array(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
        let positional = schema.get("prefixItems").and_then(Schema::as_array);
        let kind = match positional {
            Some(_) => TUPLE,
            None if schema.get("uniqueItems") == Some(&Schema::Bool(true)) => SET,
            None => LIST,
        };
        let Value::Array(elements) = value else {
            self.report(kind.error, format!("Input should be a valid {}", kind.name), value);
            return value.clone();
        };
        let before = self.items.len();
        let is_set = kind.title == SET.title;
        if !is_set && self.too_long(value, elements.len(), schema, kind) {
            return value.clone();
        }
        let each = schema.get("items");
        let mut converted = Vec::with_capacity(elements.len());
        let declared = positional.map_or(0, Vec::len);
        for (index, element) in elements.iter().enumerate() {
            let schema = positional.and_then(|list| list.get(index)).or(each);
            converted.push(match schema {
                Some(schema) if positional.is_none() || index < declared => {
                    self.at(Step::Index(index), |check| check.value(element, schema))
                }
                _ => element.clone(),
            });
        }
        for index in elements.len()..declared {
            self.at(Step::Index(index), |check| check.items.push(Item::missing(&check.loc, value)));
        }
        let mut length = elements.len();
        if is_set {
            length = converted.iter().map(Value::to_string).collect::<HashSet<_>>().len();
            let wrong = self.items.split_off(before);
            // A set is full before all that is in it was looked at.
            if !self.too_long(value, length.saturating_sub(wrong.len()), schema, kind) {
                self.items.extend(wrong);
            }
        }
        if self.items.len() == before {
            self.too_short(value, length, schema, kind);
        }
        Value::Array(converted)
    }

    fn too_short(&mut self, value: &Value, length: usize, schema: &Map<String, Schema>, kind: Kind) -> bool {
        let min = schema.get(kind.min).and_then(Schema::as_u64).filter(|min| (length as u64) < *min);
        if let Some(min) = min {
            self.size(value, ("too_short", "at least", "min_length"), min, Some(length), kind);
        }
        min.is_some()
    }

    fn too_long(&mut self, value: &Value, length: usize, schema: &Map<String, Schema>, kind: Kind) -> bool {
        let max = schema.get(kind.max).and_then(Schema::as_u64).filter(|max| length as u64 > *max);
        if let Some(max) = max {
            // Only what has an order is counted to its end.
            let counted = (kind.title == LIST.title || kind.title == TUPLE.title).then_some(length);
            self.size(value, ("too_long", "at most", "max_length"), max, counted, kind);
        }
        max.is_some()
    }

    fn size(
        &mut self,
        value: &Value,
        (error, bound, name): (&'static str, &str, &str),
        limit: u64,
        length: Option<usize>,
        kind: Kind,
    ) {
        let plural = if limit == 1 { "item" } else { "items" };
        let actual = length.map(|length| length.to_string());
        let shown = actual.as_deref().unwrap_or("more");
        let msg =
            format!("{} should have {bound} {limit} {plural} after validation, not {shown}", kind.title);
        let item = Item::new(error, &self.loc, msg, value)
            .with_ctx("field_type", Value::Str(kind.title.to_owned()))
            .with_ctx(name, Value::Int(limit.to_string()))
            .with_ctx("actual_length", actual.map_or(Value::Null, Value::Int));
        self.items.push(item);
    }

    pub(super) fn object(&mut self, value: &Value, schema: &Map<String, Schema>) -> Value {
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
        let before = self.items.len();
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
        if properties.is_none() && self.items.len() == before {
            let _ = self.too_long(value, fields.len(), schema, DICTIONARY)
                || self.too_short(value, fields.len(), schema, DICTIONARY);
        }
        Value::Object(converted)
    }
}
