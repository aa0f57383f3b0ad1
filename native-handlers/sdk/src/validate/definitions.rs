//! What schemas refer to.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

/// Named schemas, as `$ref` finds them.
pub(crate) type Schemas = Map<String, Value>;

/// Named schemas, and the patterns in them and in the schemas that refer to them.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) schemas: Schemas,
    patterns: HashMap<String, Regex>,
}

impl Definitions {
    /// Compiles the patterns of the named schemas and of the `inline` ones. Fails with what is wrong with a pattern.
    pub(crate) fn new<'a>(
        schemas: Schemas,
        inline: impl IntoIterator<Item = &'a Value>,
    ) -> Result<Definitions, String> {
        let mut patterns = HashMap::new();
        inline.into_iter().try_for_each(|schema| compile(schema, &mut patterns))?;
        schemas.values().try_for_each(|schema| compile(schema, &mut patterns))?;
        Ok(Definitions { schemas, patterns })
    }

    /// Whether `text` matches `pattern`, one of the schemas' own, anywhere.
    pub(crate) fn matches(&self, pattern: &str, text: &str) -> bool {
        self.patterns.get(pattern).is_none_or(|pattern| pattern.is_match(text))
    }
}

fn compile(schema: &Value, patterns: &mut HashMap<String, Regex>) -> Result<(), String> {
    match schema {
        Value::Object(fields) => fields.iter().try_for_each(|(key, inner)| match (key.as_str(), inner) {
            ("pattern", Value::String(pattern)) if !patterns.contains_key(pattern) => {
                let compiled = Regex::new(pattern).map_err(|error| {
                    let reason = error.to_string();
                    let reason = reason.lines().last().unwrap_or_default();
                    format!("the pattern `{pattern}` is not valid: {}", reason.trim_start_matches("error: "))
                })?;
                patterns.insert(pattern.clone(), compiled);
                Ok(())
            }
            ("default" | "examples" | "enum" | "const", _) => Ok(()),
            _ => compile(inner, patterns),
        }),
        Value::Array(list) => list.iter().try_for_each(|inner| compile(inner, patterns)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Definitions, Schemas};

    #[test]
    fn patterns_match_anywhere() {
        let schemas: Schemas = [("Code".to_owned(), json!({"pattern": "^[A-Z]+$"}))].into_iter().collect();
        let inline = json!({"properties": {"pattern": {"anyOf": [{"pattern": "b"}]}}});
        let definitions = Definitions::new(schemas, [&inline]).unwrap();
        assert!(definitions.matches("^[A-Z]+$", "AB") && !definitions.matches("^[A-Z]+$", "ab"));
        assert!(definitions.matches("b", "abc") && !definitions.matches("b", "xyz"));
    }

    #[test]
    fn a_pattern_that_is_none_says_why() {
        let error = Definitions::new(Schemas::new(), [&json!({"pattern": "("})]).unwrap_err();
        assert_eq!(error, "the pattern `(` is not valid: unclosed group");
    }
}
