//! The envelope of every answer: `data`, `errors`, or both. Errors come with status 200. Pure.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cloud::CloudError;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::list::for_each;
use crate::cloud::kit::loose::Scalar;

/// What an answer holds, and the error beside it: a nested field that failed is `null`, and the others are there all the
/// same. A field at the top that failed leaves no data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer<T> {
    pub(super) data: T,
    pub(super) error: Option<CloudError>,
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireError<'a> {
    #[serde(borrow, default)]
    message: Scalar<'a>,
}

/// Reads the `data` of an answer. The error is the one that the answer reports, unless the data can be read beside it.
pub(super) fn read<T>(
    body: &[u8],
    data: impl FnOnce(&str) -> Result<T, AnswerProblem>,
) -> Result<Answer<T>, CloudError> {
    let answer: WireAnswer<'_> = parse(json_text(body)?)?;
    let error = answer.errors.map(reported).transpose()?.flatten();
    match (answer.data.map(|json| data(json.get())), error) {
        (Some(Ok(data)), error) => Ok(Answer { data, error }),
        (_, Some(error)) => Err(error),
        (Some(Err(problem)), None) => Err(problem.into()),
        (None, None) => Err(AnswerProblem::Shape.into()),
    }
}

/// The first of the errors that an answer reports; `None` where it reports none.
fn reported(errors: &RawValue) -> Result<Option<CloudError>, AnswerProblem> {
    let mut first = None;
    for_each(errors.get(), |error: WireError<'_>| {
        let Scalar::Text(message) = &error.message else {
            first = Some(AnswerProblem::Reported.into());
            return false;
        };
        first = Some(meaning(&message.to_ascii_lowercase()));
        false
    })?;
    Ok(first)
}

/// What a message means, in lower case. It has no code that is documented, so the cloud's own command line looks at the
/// words as well; the words of a limit are a guess, as limits are documented to come with status 429.
fn meaning(message: &str) -> CloudError {
    if message.contains("not authorized") || message.contains("project token not found") {
        CloudError::Status(401)
    } else if message.contains("two factor authentication required") {
        CloudError::ScopeMissing(
            "two-factor authentication of the token's user, which its workspace requires",
        )
    } else if message.contains("rate limit") || message.contains("too many requests") {
        CloudError::RateLimited { retry_after: None }
    } else if message.contains("not found") {
        CloudError::Status(404)
    } else {
        AnswerProblem::Reported.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn number(json: &str) -> Result<u32, AnswerProblem> {
        serde_json::from_str(json).map_err(|_| AnswerProblem::Shape)
    }

    fn answer(body: &Value) -> Result<Answer<u32>, CloudError> {
        read(body.to_string().as_bytes(), number)
    }

    #[test]
    fn an_error_inside_a_200_is_told_by_its_words() {
        for (message, error) in [
            ("Not Authorized", CloudError::Status(401)),
            ("You are not authorized to see this", CloudError::Status(401)),
            ("Project Token not found", CloudError::Status(401)),
            ("Environment not found", CloudError::Status(404)),
            ("You are being rate limited. Try later", CloudError::RateLimited { retry_after: None }),
            ("Problem processing request", AnswerProblem::Reported.into()),
        ] {
            let body =
                json!({"errors": [{"message": message, "extensions": {}}, {"message": "x"}], "data": null});
            assert_eq!(answer(&body), Err(error), "{message}");
        }
        let body = json!({"errors": [{"message": "Two Factor Authentication Required"}]});
        assert!(matches!(answer(&body), Err(CloudError::ScopeMissing(_))));
        let odd = json!({"errors": [{"message": {"text": "Not Authorized"}}], "data": null});
        assert_eq!(answer(&odd), Err(AnswerProblem::Reported.into()));
    }

    #[test]
    fn data_beside_an_error_is_read_and_the_error_is_kept() {
        let body = json!({"errors": [{"message": "Problem processing request"}], "data": 7});
        assert_eq!(answer(&body), Ok(Answer { data: 7, error: Some(AnswerProblem::Reported.into()) }));
        let unusable = json!({"errors": [{"message": "Not Authorized"}], "data": {"projects": null}});
        assert_eq!(answer(&unusable), Err(CloudError::Status(401)), "the error says why");
        assert_eq!(answer(&json!({"data": 7, "errors": []})), Ok(Answer { data: 7, error: None }));
        assert_eq!(answer(&json!({"data": 7})), Ok(Answer { data: 7, error: None }));
    }

    #[test]
    fn an_answer_without_data_and_errors_has_another_shape() {
        let shape = || Err(AnswerProblem::Shape.into());
        for body in [json!({}), json!({"data": null, "errors": []}), json!({"data": "x"}), json!([])] {
            assert_eq!(answer(&body), shape(), "{body}");
        }
        assert_eq!(read(b"<html>", number), Err(AnswerProblem::NotJson.into()));
    }
}
