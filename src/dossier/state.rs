//! The states of a dossier: those of the National Public Service Portal.

/// TrangThaiHoSo of the portal, 1 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// 1 mới đăng ký.
    Registered,
    /// 2 được tiếp nhận.
    Received,
    /// 3 không được tiếp nhận.
    NotReceived,
    /// 4 đang xử lý.
    InProcess,
    /// 5 yêu cầu bổ sung giấy tờ.
    AwaitingSupplement,
    /// 6 yêu cầu thực hiện nghĩa vụ tài chính.
    AwaitingPayment,
    /// 7 công dân yêu cầu rút hồ sơ.
    Withdrawn,
    /// 8 dừng xử lý.
    Stopped,
    /// 9 đã xử lý xong.
    Completed,
    /// 10 đã trả kết quả.
    Returned,
}

impl State {
    /// Every state with its number on the portal.
    pub const NUMBERS: &'static [(u32, State)] = &[
        (1, State::Registered),
        (2, State::Received),
        (3, State::NotReceived),
        (4, State::InProcess),
        (5, State::AwaitingSupplement),
        (6, State::AwaitingPayment),
        (7, State::Withdrawn),
        (8, State::Stopped),
        (9, State::Completed),
        (10, State::Returned),
    ];

    /// Its number on the portal.
    pub fn number(self) -> u32 {
        Self::NUMBERS.iter().find(|(_, state)| *state == self).map_or(0, |(number, _)| *number)
    }

    /// The state with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, state)| *state)
    }

    /// Whether the clock runs: an agency works on it.
    pub fn runs(self) -> bool {
        matches!(self, Self::Received | Self::InProcess)
    }

    /// Whether the clock stands still until the citizen has done something.
    pub fn is_suspended(self) -> bool {
        matches!(self, Self::AwaitingSupplement | Self::AwaitingPayment)
    }

    /// Whether nothing is to be done any more but to hand out the result.
    pub fn has_ended(self) -> bool {
        matches!(
            self,
            Self::NotReceived | Self::Withdrawn | Self::Stopped | Self::Completed | Self::Returned
        )
    }
}
