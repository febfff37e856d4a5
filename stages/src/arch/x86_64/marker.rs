//! The instruction that indirect branches must land on where they are tracked (Intel CET).

/// `endbr64`.
pub const INSTRUCTION: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
/// `nopl 0(%rax)`, of the same size.
pub const REPLACEMENT: [u8; 4] = [0x0f, 0x1f, 0x40, 0x00];
