//! What the head of a frame says before the frame is there.

use actix_http::ws::OpCode;

/// The bit that permessage-deflate has for itself.
pub(super) const COMPRESSED: u8 = 0x40;

const OPCODE: u8 = 0x0f;
const LENGTH: u8 = 0x7f;

/// The first fields of a frame.
pub(super) struct FrameHead {
    pub(super) opcode: OpCode,
    pub(super) compressed: bool,
    /// What the payload claims to have.
    pub(super) length: u64,
}

impl FrameHead {
    /// Reads what `bytes` begin with, if there is enough of it.
    pub(super) fn read(bytes: &[u8]) -> Option<FrameHead> {
        let [first, second, rest @ ..] = bytes else { return None };
        let length = match second & LENGTH {
            126 => u64::from(u16::from_be_bytes(*rest.first_chunk()?)),
            127 => u64::from_be_bytes(*rest.first_chunk()?),
            length => u64::from(length),
        };
        let opcode = OpCode::from(first & OPCODE);
        Some(FrameHead { opcode, compressed: first & COMPRESSED != 0, length })
    }

    /// Whether it is of a ping, a pong or a close.
    pub(super) fn is_control(&self) -> bool {
        matches!(self.opcode, OpCode::Ping | OpCode::Pong | OpCode::Close)
    }
}
