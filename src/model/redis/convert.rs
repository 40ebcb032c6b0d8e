//! Conversions of field values.
