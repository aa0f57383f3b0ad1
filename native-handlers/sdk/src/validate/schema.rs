//! A value against a JSON Schema, by Pydantic's lax rules and in its words.

use serde_json::{Map, Value as Schema};

use super::leaf::integer_limits;
use super::union::choices;
use super::{Definitions, Item, Schemas, Step, Value};

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
pub(crate) fn is_constrained(schema: &Schema, definitions: &Schemas) -> bool {
    fn search(schema: &Schema, definitions: &Schemas, seen: &mut Vec<String>) -> bool {
        const LIMITS: [&str; 12] = [
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "multipleOf",
            "pattern",
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

/// A check on its way through a value.
pub(super) struct Check<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) loc: Vec<Step>,
    pub(super) items: &'a mut Vec<Item>,
}

impl Check<'_> {
    pub(super) fn report(&mut self, kind: &'static str, msg: impl Into<String>, input: &Value) {
        self.items.push(Item::new(kind, &self.loc, msg, input));
    }

    pub(super) fn at<R>(&mut self, step: Step, check: impl FnOnce(&mut Self) -> R) -> R {
        self.loc.push(step);
        let result = check(self);
        self.loc.pop();
        result
    }

    pub(super) fn value(&mut self, value: &Value, schema: &Schema) -> Value {
        let Some(schema) = schema.as_object() else { return value.clone() };
        if schema.contains_key("$ref") {
            let definitions = self.definitions;
            return match target(schema, definitions) {
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
}

/// The lists of a schema that is one of several.
fn alternatives(schema: &Map<String, Schema>) -> Option<&Vec<Schema>> {
    schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Schema::as_array)
}

pub(super) fn types(schema: &Map<String, Schema>) -> Vec<&str> {
    match schema.get("type") {
        Some(Schema::String(name)) => vec![name],
        Some(Schema::Array(names)) => names.iter().filter_map(Schema::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The schema itself, or the one its `$ref` names.
pub(super) fn resolved<'a>(schema: &'a Schema, definitions: &'a Definitions) -> &'a Schema {
    schema.as_object().and_then(|fields| target(fields, definitions)).unwrap_or(schema)
}

fn target<'a>(schema: &Map<String, Schema>, definitions: &'a Definitions) -> Option<&'a Schema> {
    let name = schema.get("$ref")?.as_str()?.strip_prefix(REF_PREFIX)?;
    definitions.schemas.get(name)
}
