//! The fields of the portal's records, as its known clients send them; all are texts or lists.

use serde_json::{Map, Value};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A moment, `yyyyMMddHHmmss` in Vietnam.
    Moment,
    /// A state of the dossier, 1 to 10.
    State,
    /// Records with these fields; with none, records that are not looked into.
    List(&'static [Field]),
}

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there and not be empty.
    pub compulsory: bool,
    /// What it holds.
    pub kind: Kind,
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field { name, compulsory: true, kind }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, compulsory: false, kind }
}

/// Fields that a procedure's entry in the portal's catalogue gives.
pub(super) const OF_PROCEDURE: [&str; 3] = ["TenTTHC", "MaLinhVuc", "TenLinhVuc"];

/// DongBoHoSoMC.
pub const DOSSIER: &[Field] = &[
    must("MaHoSo", Kind::Text),
    must("MaTTHC", Kind::Text),
    must("TenTTHC", Kind::Text),
    must("MaLinhVuc", Kind::Text),
    must("TenLinhVuc", Kind::Text),
    may("SoBienNhan", Kind::Text),
    may("ChuHoSo", Kind::Text),
    must("LoaiDoiTuong", Kind::Text),
    may("MaDoiTuong", Kind::Text),
    may("ThongTinKhac", Kind::Text),
    must("Email", Kind::Text),
    may("Fax", Kind::Text),
    must("SoDienThoai", Kind::Text),
    must("TrichYeuHoSo", Kind::Text),
    must("NgayTiepNhan", Kind::Moment),
    must("NgayHenTra", Kind::Moment),
    must("TrangThaiHoSo", Kind::State),
    may("NgayTra", Kind::Moment),
    may("ThongTinTra", Kind::Text),
    must("HinhThuc", Kind::Text),
    may("NgayKetThucXuLy", Kind::Moment),
    must("DonViXuLy", Kind::Text),
    may("GhiChu", Kind::Text),
    may("TaiLieuNop", Kind::List(SUBMITTED)),
    may("DanhSachLePhi", Kind::List(FEE)),
    may("DanhSachTepDinhKemKhac", Kind::List(OTHER_PAPER)),
    may("DanhSachHoSoBoSung", Kind::List(SUPPLEMENT)),
    may("DanhSachGiayToKetQua", Kind::List(RESULT)),
];

/// CapNhatTienDoHoSoMC.
pub const STEP: &[Field] = &[
    must("MaHoSo", Kind::Text),
    must("NguoiXuLy", Kind::Text),
    may("ChucDanh", Kind::Text),
    must("ThoiDiemXuLy", Kind::Moment),
    may("PhongBanXuLy", Kind::Text),
    must("NoiDungXuLy", Kind::Text),
    must("TrangThai", Kind::State),
    may("NgayBatDau", Kind::Moment),
    may("NgayKetThucTheoQuyDinh", Kind::Moment),
];

/// DongBoTrangThaiHoSo. One client of it is known, and nothing of what the portal insists on.
pub const STATUS: &[Field] = &[
    must("MaHoSo", Kind::Text),
    must("TrangThai", Kind::State),
    may("MaHoSoDonVi", Kind::Text),
    may("MaDoiTuong", Kind::Text),
    may("NoiDung", Kind::Text),
    may("NgayXuLy", Kind::Moment),
    may("TaiLieuXuLy", Kind::List(SUBMITTED)),
];

const SUBMITTED: &[Field] = &[
    may("TepDinhKemId", Kind::Text),
    may("TenTepDinhKem", Kind::Text),
    may("IsDeleted", Kind::Text),
    may("MaThanhPhanHoSo", Kind::Text),
    may("DuongDanTaiTepTin", Kind::Text),
];

const FEE: &[Field] = &[
    may("TenPhiLePhi", Kind::Text),
    may("MaPhiLePhi", Kind::Text),
    may("HinhThucThu", Kind::Text),
    may("Gia", Kind::Text),
    may("LoaiPhiLePhi", Kind::Text),
];

const OTHER_PAPER: &[Field] =
    &[may("TenGiayTo", Kind::Text), may("SoLuong", Kind::Text), may("LoaiGiayTo", Kind::Text)];

const SUPPLEMENT: &[Field] = &[
    may("HoSoBoSungId", Kind::Text),
    may("NguoiYeuCauBoSung", Kind::Text),
    may("NoiDungBoSung", Kind::Text),
    may("NgayBoSung", Kind::Moment),
    may("NguoiTiepNhanBoSung", Kind::Text),
    may("ThongTinTiepNhan", Kind::Text),
    may("NgayTiepNhanBoSung", Kind::Moment),
    may("TrangThaiBoSung", Kind::Text),
    may("DanhSachGiayToBoSung", Kind::List(&[])),
    may("DanhSachLePhiBoSung", Kind::List(&[])),
    may("NgayHenTraTruoc", Kind::Moment),
    may("NgayHenTraMoi", Kind::Moment),
];

const RESULT: &[Field] = &[
    may("TenGiayTo", Kind::Text),
    may("MaThanhPhanHoSo", Kind::Text),
    may("GiayToId", Kind::Text),
    may("DuongDanTepTinKetQua", Kind::Text),
];

/// Where an answer names its question, and a question itself: no source has the fields of either, so these
/// spellings are looked for.
const QUESTION_IDS: [&str; 6] = ["MaHoiDap", "HoiDapId", "IdHoiDap", "ID", "Id", "id"];

/// What names a question or its answer; none if it has no name.
pub fn question_id(record: &Map<String, Value>) -> Option<String> {
    QUESTION_IDS.iter().find_map(|name| match record.get(*name)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}
