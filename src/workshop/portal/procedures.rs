//! The stand-in's catalogue of procedures: the one of the development configuration.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::config::parse_procedures;
use crate::dossier::{Catalogue, Procedure};

/// Services that only read.
pub(super) const SERVICES: [&str; 5] =
    ["LayDanhSachTTHC", "LayThuTuc", "LayDanhMucCoQuan", "LayDanhMucLinhVuc", "TraCuuHoSo"];

static PROCEDURES: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("../../../certs/procedures.toml");
    parse_procedures(text).expect("a test reads it")
});

/// The whole catalogue.
pub(super) fn all() -> Vec<Value> {
    PROCEDURES.procedures().map(written).collect()
}

/// The procedure with this code.
pub(super) fn find(code: &str) -> Option<Value> {
    PROCEDURES.procedure(code).map(written)
}

/// The fields that have procedures.
pub(super) fn fields() -> Vec<Value> {
    let field = |(code, name)| json!({ "MALINHVUC": code, "TENLINHVUC": name });
    PROCEDURES.fields().map(field).collect()
}

fn written(procedure: &Procedure) -> Value {
    let field = &procedure.field;
    json!({
        "MATTHC": procedure.code,
        "TENTTHC": procedure.name,
        "LINHVUCTHUCHIEN": [{ "MALINHVUC": field, "TENLINHVUC": PROCEDURES.field(field) }],
    })
}
