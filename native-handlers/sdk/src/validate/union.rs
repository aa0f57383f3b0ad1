//! A value that may be one of several things: optional, an enum, a union.

use serde_json::{Map, Value as Schema};

use super::definitions::Definitions;
use super::schema::{check, resolved, types, Check};
use super::{Item, Step, Value};

impl Check<'_> {
    /// `anyOf` and `oneOf`: an optional type, an enum written variant by variant, or a real union.
    pub(super) fn alternatives(&mut self, value: &Value, variants: &[Schema]) -> Value {
        let is_null = |schema: &Schema| schema.get("type").and_then(Schema::as_str) == Some("null");
        if matches!(value, Value::Null) && variants.iter().any(is_null) {
            return Value::Null;
        }
        let others: Vec<&Schema> = variants.iter().filter(|variant| !is_null(variant)).collect();
        if let [only] = others[..] {
            return self.value(value, only);
        }
        let allowed: Option<Vec<Vec<Schema>>> =
            others.iter().map(|variant| variant.as_object().and_then(choices)).collect();
        if let Some(allowed) = allowed {
            return self.choice(value, &allowed.concat());
        }
        match discriminator(&others, self.definitions) {
            Some((name, tags)) => self.tagged(value, &others, &name, &tags),
            None => self.untagged(value, &others),
        }
    }

    /// Objects that a field tells apart.
    fn tagged(&mut self, value: &Value, variants: &[&Schema], name: &str, tags: &[String]) -> Value {
        let Value::Object(fields) = value else {
            self.report(
                "model_attributes_type",
                "Input should be a valid dictionary or object to extract fields from",
                value,
            );
            return value.clone();
        };
        let discriminator = format!("'{name}'");
        let Some((_, tag)) = fields.iter().find(|(field, _)| field == name) else {
            let msg = format!("Unable to extract tag using discriminator {discriminator}");
            let item = Item::new("union_tag_not_found", &self.loc, msg, value);
            self.items.push(item.with_ctx("discriminator", Value::Str(discriminator)));
            return value.clone();
        };
        let given = match tag {
            Value::Str(text) => text.clone(),
            Value::Null => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            other => other.to_string(),
        };
        if let Some(index) = tags.iter().position(|known| Value::Str(known.clone()) == *tag) {
            return self.at(Step::Name(given), |check| check.value(value, variants[index]));
        }
        let expected: Vec<String> = tags.iter().map(|tag| format!("'{tag}'")).collect();
        let expected = expected.join(", ");
        let msg = format!(
            "Input tag '{given}' found using {discriminator} does not match any of the expected tags: {expected}"
        );
        let item = Item::new("union_tag_invalid", &self.loc, msg, value)
            .with_ctx("discriminator", Value::Str(discriminator))
            .with_ctx("tag", Value::Str(given))
            .with_ctx("expected_tags", Value::Str(expected));
        self.items.push(item);
        value.clone()
    }

    /// Types of which the value fits one. Where Pydantic has no name for one of them, what fits none is left to the Rust
    /// type to refuse.
    fn untagged(&mut self, value: &Value, variants: &[&Schema]) -> Value {
        let labels: Option<Vec<String>> = variants.iter().map(|variant| label(variant)).collect();
        let mut fitting = None;
        let mut refused = Vec::new();
        for (index, variant) in variants.iter().enumerate() {
            let mut loc = self.loc.clone();
            loc.extend(labels.as_ref().map(|labels| Step::Name(labels[index].clone())));
            let mut items = Vec::new();
            let converted = check(value, variant, self.definitions, loc, &mut items);
            if items.is_empty() && converted == *value {
                return converted;
            }
            if items.is_empty() {
                fitting = fitting.or(Some(converted));
            }
            refused.append(&mut items);
        }
        if fitting.is_none() && labels.is_some() {
            self.items.append(&mut refused);
        }
        fitting.unwrap_or_else(|| value.clone())
    }

    /// One of the values listed. Integers are read from text too.
    pub(super) fn choice(&mut self, value: &Value, allowed: &[Schema]) -> Value {
        for choice in allowed {
            match (value, choice) {
                (Value::Str(text), Schema::String(choice)) if text == choice => return value.clone(),
                (Value::Int(digits) | Value::Str(digits), Schema::Number(choice))
                    if *digits == choice.to_string() =>
                {
                    return Value::Int(digits.clone());
                }
                _ => {}
            }
        }
        let quoted: Vec<String> = allowed
            .iter()
            .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), |text| format!("'{text}'")))
            .collect();
        let expected = match quoted.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        let item = Item::new("enum", &self.loc, format!("Input should be {expected}"), value);
        self.items.push(item.with_ctx("expected", Value::Str(expected)));
        value.clone()
    }
}

/// The values a schema allows, where it lists them.
pub(super) fn choices(schema: &Map<String, Schema>) -> Option<Vec<Schema>> {
    let listed = match schema.get("const") {
        Some(only) => std::slice::from_ref(only),
        None => schema.get("enum")?.as_array()?,
    };
    let known = |choice: &Schema| choice.is_string() || choice.is_i64() || choice.is_null();
    listed.iter().all(known).then(|| listed.iter().filter(|choice| !choice.is_null()).cloned().collect())
}

/// The field that tells objects apart, and its value in each.
fn discriminator(variants: &[&Schema], definitions: &Definitions) -> Option<(String, Vec<String>)> {
    let tag = |variant: &Schema, name: &str| {
        let with =
            |schema: &Schema| Some(schema.get("properties")?.get(name)?.get("const")?.as_str()?.to_owned());
        with(variant).or_else(|| with(resolved(variant, definitions)))
    };
    let first = variants.first()?;
    let properties = |schema: &Schema| schema.get("properties").and_then(Schema::as_object).cloned();
    let names = properties(first).or_else(|| properties(resolved(first, definitions)))?;
    names.keys().find_map(|name| {
        let tags: Option<Vec<String>> = variants.iter().map(|variant| tag(variant, name)).collect();
        Some((name.clone(), tags?))
    })
}

/// What Pydantic calls a type in a location.
fn label(schema: &Schema) -> Option<String> {
    if let Some(path) = schema.get("$ref").and_then(Schema::as_str) {
        return path.rsplit('/').next().map(str::to_owned);
    }
    let schema = schema.as_object()?;
    let part = |name: &str| schema.get(name).map_or_else(|| Some("any".to_owned()), label);
    Some(match types(schema)[..] {
        ["integer"] => "int".to_owned(),
        ["number"] => "float".to_owned(),
        ["boolean"] => "bool".to_owned(),
        ["string"] if choices(schema).is_none() => "str".to_owned(),
        ["array"] if !schema.contains_key("prefixItems") => format!("list[{}]", part("items")?),
        ["object"] if !schema.contains_key("properties") => {
            format!("dict[str,{}]", part("additionalProperties")?)
        }
        _ => return None,
    })
}
