//! What an editor is told of the shapes of values. They are seen through: a place and the difference
//! between a key left out and a key without a value are the parser's.

use super::{At, Entries, Key, OneOrMany};
use crate::text::schema::Name;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;

/// The JSON Schema of a file whose mirror is `T`, draft 2020-12, as text.
#[must_use]
pub fn schema<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(as_read));
    let schema = settings.into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.as_value())
}

/// What holds everywhere: a list that is stated is not empty, and a description has no line ends.
fn as_read(schema: &mut Schema) {
    if schema.get("type").is_some_and(|kind| kind == "array") {
        schema.insert("minItems".to_owned(), 1.into());
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

macro_rules! seen_through {
    ($($wrapper:ident)+) => {
        $(
            impl<T: JsonSchema> JsonSchema for $wrapper<T> {
                fn inline_schema() -> bool {
                    T::inline_schema()
                }
                fn schema_name() -> Cow<'static, str> {
                    T::schema_name()
                }
                fn schema_id() -> Cow<'static, str> {
                    T::schema_id()
                }
                fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                    T::json_schema(generator)
                }
            }
        )+
    };
}
seen_through!(At Key);

impl<V: JsonSchema> JsonSchema for Entries<V> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Entries_of_{}", V::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": generator.subschema_for::<Name>(),
            "additionalProperties": generator.subschema_for::<V>(),
            "minProperties": 1,
        })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("One_or_many_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let each = generator.subschema_for::<T>();
        let mut lone = each.clone();
        // Alone, a number is not taken for a text: it could be a mistake for another shape.
        if lone.get("type").is_some_and(Value::is_array) {
            lone.insert("type".to_owned(), "string".into());
        }
        json_schema!({ "anyOf": [lone, { "type": "array", "items": each }] })
    }
}
