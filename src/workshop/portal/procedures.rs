//! The stand-in's catalogue of procedures.

use serde_json::{Value, json};

/// Services that only read.
pub(super) const SERVICES: [&str; 5] =
    ["LayDanhSachTTHC", "LayThuTuc", "LayDanhMucCoQuan", "LayDanhMucLinhVuc", "TraCuuHoSo"];

/// Code, name, code and name of the field. Invented, in the form of real ones.
const PROCEDURES: [[&str; 4]; 3] = [
    ["1.003003", "Đăng ký biến động quyền sử dụng đất", "G15-DD", "Đất đai"],
    ["1.004873", "Cấp giấy xác nhận tình trạng hôn nhân", "G03-HT", "Hộ tịch"],
    ["2.001610", "Đăng ký thành lập doanh nghiệp", "G13-DN", "Doanh nghiệp"],
];

/// The whole catalogue.
pub(super) fn all() -> Vec<Value> {
    PROCEDURES.iter().map(written).collect()
}

/// The procedure with this code.
pub(super) fn find(code: &str) -> Option<Value> {
    PROCEDURES.iter().find(|procedure| procedure[0] == code).map(written)
}

/// The fields that have procedures.
pub(super) fn fields() -> Vec<Value> {
    let field = |[_, _, code, name]: &[&str; 4]| json!({ "MALINHVUC": code, "TENLINHVUC": name });
    PROCEDURES.iter().map(field).collect()
}

fn written([code, name, field_code, field_name]: &[&str; 4]) -> Value {
    json!({
        "MATTHC": code,
        "TENTTHC": name,
        "LINHVUCTHUCHIEN": [{ "MALINHVUC": field_code, "TENLINHVUC": field_name }],
    })
}
