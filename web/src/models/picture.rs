//! What a picture of a screen can be asked to be, and how it is told of in documents.

use bytes::Bytes;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;

/// The narrowest and the widest picture, in pixels.
const WIDTHS: std::ops::RangeInclusive<u16> = 16..=3840;

/// What a screenshot can be asked to be.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ScreenshotQuery {
    /// How many pixels wide; never wider than the screen, which is the default.
    #[param(value_type = Option<u16>, minimum = 16, maximum = 3840)]
    width: Option<String>,
}

impl ScreenshotQuery {
    /// The width that is asked for, if one is.
    ///
    /// # Errors
    /// [`ApiError::InvalidField`] with the range of widths.
    pub fn width(&self) -> Result<Option<u16>, ApiError> {
        let Some(width) = &self.width else { return Ok(None) };
        match width.parse() {
            Ok(width) if WIDTHS.contains(&width) => Ok(Some(width)),
            _ => Err(ApiError::InvalidField {
                field: "width".to_owned(),
                problem: format!("must be a whole number from {} to {}", WIDTHS.start(), WIDTHS.end()),
            }),
        }
    }
}

/// A JPEG, for documents.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Jpeg(pub Bytes);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_width_is_a_whole_number_in_its_range_and_what_is_not_is_named() {
        let asked = |width: &str| ScreenshotQuery { width: Some(width.to_owned()) }.width();
        assert_eq!(ScreenshotQuery { width: None }.width(), Ok(None));
        for (text, width) in [("16", 16), ("320", 320), ("3840", 3840)] {
            assert_eq!(asked(text), Ok(Some(width)));
        }
        for text in ["", "15", "3841", "0", "-320", "320.0", "70000", "wide"] {
            let error = asked(text).unwrap_err();
            assert_eq!(error.code(), "invalid_field");
            assert_eq!(error.to_string(), "width: must be a whole number from 16 to 3840", "{text}");
        }
    }

    #[test]
    fn what_is_documented_is_what_is_read() {
        let [width] = &ScreenshotQuery::into_params(|| None)[..] else { panic!() };
        let width = serde_json::to_value(width).unwrap();
        assert_eq!((&width["name"], &width["required"]), (&json!("width"), &json!(false)));
        assert_eq!(width["schema"]["minimum"], *WIDTHS.start());
        assert_eq!(width["schema"]["maximum"], *WIDTHS.end());
    }
}
