//! Queries of GraphQL: read with their variables, and the selection of what they ask for. Knows no type of the API.
//!
//! Fragments, directives, mutations and subscriptions are refused. A field that an object does not have makes the whole query
//! invalid, as a field that the schema does not have would.

use graphql_parser::query::{
    Definition, Document, Field, OperationDefinition, Selection, SelectionSet, Type, Value as Literal,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::problem::Problem;

/// The key of an object that stands for a list of which a query selects pages: `{LIST: [nodes]}`.
const LIST: &str = "$list";

/// A query that fits the grammar, with its variables.
#[derive(Debug)]
pub(super) struct Query {
    fields: SelectionSet<'static, String>,
    variables: Map<String, Value>,
}

/// How lists are paged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    /// The most entries of a page.
    pub(super) most: usize,
    /// The last page names the first as its next.
    pub(super) cycle: bool,
    /// Every page names a next one.
    pub(super) endless: bool,
}

impl Query {
    /// Reads the body of a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct WireRequest {
            query: String,
            #[serde(default)]
            variables: Option<Map<String, Value>>,
        }
        let request: WireRequest =
            serde_json::from_slice(body).map_err(|_| invalid("The body is no query with its variables."))?;
        let document: Document<'_, String> = graphql_parser::parse_query(&request.query)
            .map_err(|_| invalid("Syntax Error: the query cannot be read."))?;
        let mut definitions = document.into_static().definitions.into_iter();
        let (Some(Definition::Operation(operation)), None) = (definitions.next(), definitions.next()) else {
            return Err(invalid("Write one operation and no fragments."));
        };
        let (definitions, fields) = match operation {
            OperationDefinition::SelectionSet(fields) => (Vec::new(), fields),
            OperationDefinition::Query(query) => (query.variable_definitions, query.selection_set),
            OperationDefinition::Mutation(_) | OperationDefinition::Subscription(_) => {
                return Err(invalid("Only queries are simulated."));
            }
        };
        let mut variables = request.variables.unwrap_or_default();
        for definition in &definitions {
            let name = &definition.name;
            let is_given = variables.get(name).is_some_and(|value| !value.is_null());
            if matches!(definition.var_type, Type::NonNullType(_)) && !is_given {
                return Err(invalid(&format!("Variable \"${name}\" of a required type was not provided.")));
            }
        }
        variables.retain(|name, _| definitions.iter().any(|definition| definition.name == *name));
        Ok(Self { fields, variables })
    }

    /// The name of its first field.
    pub(super) fn first_field(&self) -> Option<&str> {
        match self.fields.items.first()? {
            Selection::Field(field) => Some(&field.name),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        }
    }

    /// Its fields at the top: under which name each is returned, and what it asks for.
    pub(super) fn fields(&self) -> Result<Vec<(&str, Requested<'_>)>, Problem> {
        self.fields
            .items
            .iter()
            .map(|selection| {
                let field = field(selection)?;
                let arguments = self.arguments(field)?;
                Ok((alias(field), Requested { name: &field.name, arguments, query: self, field }))
            })
            .collect()
    }

    /// The arguments of a field, with the values of the variables. One without a value is left out.
    fn arguments(&self, field: &Field<'static, String>) -> Result<Map<String, Value>, Problem> {
        let mut arguments = Map::new();
        for (name, literal) in &field.arguments {
            if let Some(value) = self.value(literal)? {
                arguments.insert(name.clone(), value);
            }
        }
        Ok(arguments)
    }

    fn value(&self, literal: &Literal<'static, String>) -> Result<Option<Value>, Problem> {
        let many = |literals: &[Literal<'static, String>]| -> Result<Vec<Value>, Problem> {
            literals.iter().filter_map(|literal| self.value(literal).transpose()).collect()
        };
        Ok(Some(match literal {
            Literal::Variable(name) => match self.variables.get(name) {
                Some(value) => value.clone(),
                None => return Ok(None),
            },
            Literal::Int(number) => number.as_i64().into(),
            Literal::Float(number) => json!(number),
            Literal::String(text) | Literal::Enum(text) => text.clone().into(),
            Literal::Boolean(value) => (*value).into(),
            Literal::Null => return Ok(None),
            Literal::List(list) => many(list)?.into(),
            Literal::Object(_) => return Err(invalid("No argument of the simulated fields is an object.")),
        }))
    }

    /// What a selection leaves of a value.
    fn select(
        &self,
        value: &Value,
        field: &Field<'static, String>,
        paging: Paging,
    ) -> Result<Value, Problem> {
        let fields = &field.selection_set.items;
        match value {
            Value::Array(list) => list.iter().map(|one| self.select(one, field, paging)).collect(),
            Value::Object(object) if object.contains_key(LIST) => {
                let page = page(object, &self.arguments(field)?, paging);
                self.select(&page, field, Paging { cycle: false, endless: false, ..paging })
            }
            Value::Object(object) => {
                if fields.is_empty() {
                    return Err(invalid(&format!(
                        "Field \"{}\" must have a selection of subfields.",
                        field.name
                    )));
                }
                let mut selected = Map::new();
                for selection in fields {
                    let inner = self::field(selection)?;
                    let value = object
                        .get(&inner.name)
                        .ok_or_else(|| invalid(&format!("Cannot query field \"{}\".", inner.name)))?;
                    selected.insert(alias(inner).to_owned(), self.select(value, inner, paging)?);
                }
                Ok(selected.into())
            }
            Value::Null => Ok(Value::Null),
            scalar if fields.is_empty() => Ok(scalar.clone()),
            _ => Err(invalid(&format!("Field \"{}\" has no subfields.", field.name))),
        }
    }
}

/// A field at the top of a query.
#[derive(Debug)]
pub(super) struct Requested<'a> {
    pub(super) name: &'a str,
    arguments: Map<String, Value>,
    query: &'a Query,
    field: &'a Field<'static, String>,
}

impl Requested<'_> {
    /// An argument that is a text. `Invalid` where it has another type.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        self.arguments.get(name).filter(|value| !value.is_null()).map_or(Ok(None), |value| {
            value.as_str().map(Some).ok_or_else(|| invalid(&format!("String cannot represent \"{name}\".")))
        })
    }

    /// The same that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name)?.ok_or_else(|| {
            invalid(&format!(
                "Field \"{}\" argument \"{name}\" is required, but it was not provided.",
                self.name
            ))
        })
    }

    /// An argument that is a whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Problem> {
        self.arguments.get(name).filter(|value| !value.is_null()).map_or(Ok(None), |value| {
            value.as_i64().map(Some).ok_or_else(|| invalid(&format!("Int cannot represent \"{name}\".")))
        })
    }

    /// An argument that is a list of words.
    pub(super) fn words(&self, name: &str) -> Result<Vec<&str>, Problem> {
        let Some(value) = self.arguments.get(name).filter(|value| !value.is_null()) else {
            return Ok(Vec::new());
        };
        let list = value.as_array().ok_or_else(|| invalid(&format!("\"{name}\" is no list.")))?;
        list.iter()
            .map(|one| one.as_str().ok_or_else(|| invalid(&format!("\"{name}\" has no words."))))
            .collect()
    }

    /// What its selection leaves of a value.
    pub(super) fn select(&self, value: &Value, paging: Paging) -> Result<Value, Problem> {
        self.query.select(value, self.field, paging)
    }
}

/// A list of which a query selects pages.
pub(super) fn list(nodes: impl Iterator<Item = Value>) -> Value {
    let nodes: Vec<Value> = nodes.collect();
    json!({ LIST: nodes })
}

/// The page of a list that `first`, `after` and `isEphemeral` select.
fn page(list: &Map<String, Value>, arguments: &Map<String, Value>, paging: Paging) -> Value {
    let nodes = list.get(LIST).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_ephemeral = arguments.get("isEphemeral").and_then(Value::as_bool);
    let is_selected = |node: &&Value| is_ephemeral.is_none_or(|wanted| node["isEphemeral"] == wanted);
    let nodes: Vec<&Value> = nodes.iter().filter(is_selected).collect();
    let number = |value: Option<&Value>| usize::try_from(value?.as_u64()?).ok();
    let first = number(arguments.get("first")).unwrap_or(paging.most).min(paging.most);
    // A cursor says how many entries come before the page. To clients it is opaque.
    let after = arguments.get("after").and_then(Value::as_str).unwrap_or_default();
    let start = after.strip_prefix("cursor-").and_then(|number| number.parse().ok()).unwrap_or(0_usize);
    let shown = if paging.endless { start % nodes.len().max(1) } else { start };
    let edges: Vec<Value> = nodes
        .iter()
        .enumerate()
        .skip(shown)
        .take(first)
        .map(|(nth, node)| json!({ "cursor": format!("cursor-{}", nth + 1), "node": node }))
        .collect();
    let end = start + edges.len();
    let is_last = end >= nodes.len();
    let end_cursor = match edges.len() {
        0 if !paging.endless => Value::Null,
        _ if is_last && paging.cycle => "cursor-0".into(),
        _ => format!("cursor-{end}").into(),
    };
    let page_info = json!({
        "hasNextPage": !is_last || paging.endless || paging.cycle,
        "hasPreviousPage": start > 0,
        "startCursor": format!("cursor-{start}"),
        "endCursor": end_cursor,
    });
    json!({ "edges": edges, "pageInfo": page_info })
}

fn field<'a>(selection: &'a Selection<'static, String>) -> Result<&'a Field<'static, String>, Problem> {
    match selection {
        Selection::Field(field) => Ok(field),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => {
            Err(invalid("Fragments are not simulated."))
        }
    }
}

fn alias<'a>(field: &'a Field<'static, String>) -> &'a str {
    field.alias.as_deref().unwrap_or(&field.name)
}

fn invalid(message: &str) -> Problem {
    Problem::Invalid(message.to_owned())
}
