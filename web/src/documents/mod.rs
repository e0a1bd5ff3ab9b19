//! The API's documents: OpenAPI, made from the handlers, and the page that shows it.

pub(crate) mod openapi;
pub(crate) mod refusals;
pub(crate) mod swagger;
