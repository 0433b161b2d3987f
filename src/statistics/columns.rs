//! Headings and rows of what is printed.

use super::count::{Counts, Share, Tally};
use crate::log::Status;

/// Headings of the register of outgoing documents (NĐ 30/2020 Annex IV).
pub const OUTGOING_COLUMNS: [&str; 10] = [
    "Số, ký hiệu văn bản",
    "Ngày tháng văn bản",
    "Tên loại và trích yếu nội dung văn bản",
    "Người ký",
    "Nơi nhận văn bản",
    "Đơn vị, người nhận bản lưu",
    "Số lượng bản",
    "Ngày chuyển",
    "Ký nhận",
    "Ghi chú",
];

/// Headings of the register of incoming documents (NĐ 30/2020 Annex IV).
pub const INCOMING_COLUMNS: [&str; 10] = [
    "Ngày đến",
    "Số đến",
    "Tác giả",
    "Số, ký hiệu văn bản",
    "Ngày tháng văn bản",
    "Tên loại và trích yếu nội dung văn bản",
    "Đơn vị hoặc người nhận",
    "Ngày chuyển",
    "Ký nhận",
    "Ghi chú",
];

/// Headings of the statistics (QĐ 28/2018 Art. 11).
pub const STATISTICS_COLUMNS: [&str; 26] = [
    "Mã cơ quan",
    "Tên cơ quan",
    "Văn bản đi",
    "Đi có ký số",
    "Tỷ lệ ký số",
    "Bị từ chối khi gửi",
    "Lý do từ chối khi gửi",
    "Lượt gửi",
    "Nơi nhận đã nhận",
    "Nơi nhận từ chối",
    "Phản hồi đúng hạn",
    "Phản hồi trễ",
    "Quá hạn chưa phản hồi",
    "Tỷ lệ phản hồi đúng hạn",
    "Văn bản đến",
    "Đến có ký số",
    "Đã nhận",
    "Đã từ chối",
    "Nhận đúng hạn",
    "Nhận trễ",
    "Quá hạn chưa nhận",
    "Còn hạn chưa nhận",
    "Tỷ lệ nhận đúng hạn",
    "Đang phân công",
    "Đang xử lý",
    "Đã hoàn thành",
];

/// Headings of the indicators of dossiers (QĐ 766/QĐ-TTg).
pub const INDICATORS_COLUMNS: [&str; 23] = [
    "Theo",
    "Mã",
    "Tên",
    "Kỳ trước chuyển sang",
    "Tiếp nhận trong kỳ",
    "Đã giải quyết đúng hạn",
    "Đã giải quyết quá hạn",
    "Đang giải quyết trong hạn",
    "Đang giải quyết quá hạn",
    "Công dân rút",
    "Tỷ lệ đúng hạn",
    "Có kết quả",
    "Kết quả điện tử ký số",
    "Tỷ lệ kết quả điện tử",
    "Đã đồng bộ lên Cổng",
    "Tỷ lệ đồng bộ",
    "Phản ánh, kiến nghị",
    "Đánh giá 1",
    "Đánh giá 2",
    "Đánh giá 3",
    "Đánh giá 4",
    "Đánh giá 5",
    "Tỷ lệ hài lòng",
];

/// The row of an agency.
pub fn statistics_row(code: &str, name: &str, counts: &Counts) -> Vec<String> {
    let reasons = counts.rejected_by_reason.iter();
    let reasons: Vec<_> = reasons.map(|(reason, count)| format!("{reason}: {count}")).collect();
    let (sent, received) = (&counts.sent, &counts.received);
    let status = |status| {
        let place = Status::CODES.iter().position(|(_, known)| *known == status);
        place.and_then(|place| received.by_status.get(place)).copied().unwrap_or(0)
    };
    let text = |number: u64| number.to_string();
    vec![
        code.to_owned(),
        name.to_owned(),
        text(counts.accepted),
        text(counts.accepted_signed),
        Share::percent(counts.signed()),
        text(counts.rejected),
        reasons.join("; "),
        text(sent.deliveries),
        text(sent.handed_over),
        text(sent.refused),
        text(sent.in_time),
        text(sent.late),
        text(sent.overdue),
        Tally::on_time(sent).percent(),
        text(received.deliveries),
        text(received.signed),
        text(received.handed_over),
        text(received.refused),
        text(received.in_time),
        text(received.late),
        text(received.overdue),
        text(received.pending),
        Tally::on_time(received).percent(),
        text(status(Status::Assigned)),
        text(status(Status::InProgress)),
        text(status(Status::Finished)),
    ]
}
