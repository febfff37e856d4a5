//! Instructions that are rewritten: loads from the GOT that need no GOT (psABI B.2), and thread-local
//! accesses that know more at link time than at compile time (psABI, "Thread-Local Storage" and U. Drepper's
//! "ELF Handling For Thread-Local Storage").
//!
//! Every function takes the section's bytes and the offset of the relocated field, looks at the instruction
//! around it, and refuses what it does not know.

/// A REX2 prefix (APX).
const REX2: u8 = 0xd5;

/// What an instruction that loads from the GOT becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GotRewrite {
    /// `mov foo@GOTPCREL(%rip), %reg` to `lea foo(%rip), %reg`.
    MovToLea,
    /// `call *foo@GOTPCREL(%rip)` to `addr32 call foo`.
    CallDirect,
    /// `jmp *foo@GOTPCREL(%rip)` to `jmp foo; nop`.
    JmpDirect,
    /// `test %reg, foo@GOTPCREL(%rip)` to `test $foo, %reg`.
    TestImmediate,
    /// `add foo@GOTPCREL(%rip), %reg` and its like to `add $foo, %reg`.
    BinaryImmediate,
}

/// How a load from the GOT can be rewritten. `prefix` is the number of bytes between the start of the
/// instruction and the field.
pub fn got_rewrite(
    bytes: &[u8],
    offset: usize,
    prefix: u8,
    is_pic: bool,
    is_absolute: bool,
) -> Option<GotRewrite> {
    let start = offset.checked_sub(usize::from(prefix))?;
    if offset + 4 > bytes.len() || is_absolute || prefix > 4 || prefix == 4 && bytes[start] != REX2 {
        return None;
    }
    let (opcode, modrm) = (bytes[offset - 2], bytes[offset - 1]);
    match (opcode, modrm) {
        (0xff, 0x15) if prefix == 2 => return Some(GotRewrite::CallDirect),
        (0xff, 0x25) if prefix == 2 => return Some(GotRewrite::JmpDirect),
        _ => {}
    }
    if modrm & 0xc7 != 0x05 {
        return None;
    }
    match opcode {
        0x8b => Some(GotRewrite::MovToLea),
        0x85 if !is_pic => Some(GotRewrite::TestImmediate),
        0x03 | 0x0b | 0x13 | 0x1b | 0x23 | 0x2b | 0x33 | 0x3b if !is_pic => Some(GotRewrite::BinaryImmediate),
        _ => None,
    }
}

/// Rewrites the opcode bytes. The field itself is the caller's to write; see [`GotRewrite`] for what goes there.
pub fn rewrite_got(bytes: &mut [u8], offset: usize, prefix: u8, rewrite: GotRewrite) {
    match rewrite {
        GotRewrite::MovToLea => bytes[offset - 2] = 0x8d,
        GotRewrite::CallDirect => bytes[offset - 2..offset].copy_from_slice(&[0x67, 0xe8]),
        GotRewrite::JmpDirect => {
            bytes[offset - 2] = 0xe9;
            bytes[offset + 3] = 0x90;
        }
        GotRewrite::TestImmediate => {
            let register = (bytes[offset - 1] >> 3) & 7;
            bytes[offset - 2] = 0xf7;
            bytes[offset - 1] = 0xc0 | register;
            move_register_bit(bytes, offset, prefix);
        }
        GotRewrite::BinaryImmediate => {
            let register = (bytes[offset - 1] >> 3) & 7;
            bytes[offset - 1] = 0xc0 | (bytes[offset - 2] & 0x38) | register;
            bytes[offset - 2] = 0x81;
            move_register_bit(bytes, offset, prefix);
        }
    }
}

/// The register moved from ModRM.reg to ModRM.rm, so its high bits move from R to B in the prefix.
fn move_register_bit(bytes: &mut [u8], offset: usize, prefix: u8) {
    match prefix {
        3 => {
            let rex = &mut bytes[offset - 3];
            *rex = (*rex & !0x05) | (*rex & 0x04) >> 2;
        }
        4 => {
            let payload = &mut bytes[offset - 3];
            *payload = (*payload & !0x55) | (*payload & 0x44) >> 2;
        }
        _ => {}
    }
}

/// Whether the 4 bytes at `offset` are the distance of a direct `call`, `jmp` or `jcc`.
pub fn is_branch(code: &[u8], offset: usize) -> bool {
    match code.get(..offset) {
        Some([.., 0xe8 | 0xe9]) => true,
        Some([.., 0x0f, condition]) => condition & 0xf0 == 0x80,
        _ => false,
    }
}

/// Whether an initial-exec access (`mov` or `add foo@GOTTPOFF(%rip), %reg`) can become local-exec.
pub fn can_make_local_exec(bytes: &[u8], offset: usize, prefix: u8) -> bool {
    let Some(start) = offset.checked_sub(usize::from(prefix)) else { return false };
    offset + 4 <= bytes.len()
        && (prefix == 3 && bytes[start] & 0xf8 == 0x48 || prefix == 4 && bytes[start] == REX2)
        && matches!(bytes[offset - 2], 0x8b | 0x03)
        && bytes[offset - 1] & 0xc7 == 0x05
}

/// `mov foo@GOTTPOFF(%rip), %reg` to `mov $foo@TPOFF, %reg`, `add` likewise.
pub fn initial_to_local(bytes: &mut [u8], offset: usize, prefix: u8) {
    let register = (bytes[offset - 1] >> 3) & 7;
    bytes[offset - 2] = if bytes[offset - 2] == 0x8b { 0xc7 } else { 0x81 };
    bytes[offset - 1] = 0xc0 | register;
    move_register_bit(bytes, offset, prefix);
}

/// `lea foo@TLSDESC(%rip), %reg` to `mov $foo@TPOFF, %reg`. False if it is another instruction.
pub fn descriptor_to_local(bytes: &mut [u8], offset: usize, prefix: u8) -> bool {
    if !is_descriptor_load(bytes, offset, prefix) {
        return false;
    }
    let register = (bytes[offset - 1] >> 3) & 7;
    bytes[offset - 2] = 0xc7;
    bytes[offset - 1] = 0xc0 | register;
    move_register_bit(bytes, offset, prefix);
    true
}

/// `lea foo@TLSDESC(%rip), %reg` to `mov foo@GOTTPOFF(%rip), %reg`. False if it is another instruction.
pub fn descriptor_to_initial(bytes: &mut [u8], offset: usize, prefix: u8) -> bool {
    if !is_descriptor_load(bytes, offset, prefix) {
        return false;
    }
    bytes[offset - 2] = 0x8b;
    true
}

fn is_descriptor_load(bytes: &[u8], offset: usize, prefix: u8) -> bool {
    let Some(start) = offset.checked_sub(usize::from(prefix)) else { return false };
    offset + 4 <= bytes.len()
        && (prefix == 3 && bytes[start] & 0xf8 == 0x48 || prefix == 4 && bytes[start] == REX2)
        && bytes[offset - 2] == 0x8d
        && bytes[offset - 1] & 0xc7 == 0x05
}

/// `call *foo@TLSCALL(%rax)` to a two-byte `nop`. False if it is another instruction.
pub fn descriptor_call_to_nop(bytes: &mut [u8], offset: usize) -> bool {
    match bytes.get_mut(offset..offset + 2) {
        Some(call) if call == [0xff, 0x10] => {
            call.copy_from_slice(&[0x66, 0x90]);
            true
        }
        // `addr32 call *(%eax)`, as x32 code has it.
        Some(call) if call == [0x67, 0xff] => {
            bytes[offset..offset + 3].copy_from_slice(&[0x0f, 0x1f, 0x00]);
            true
        }
        _ => false,
    }
}

/// The code of a `__tls_get_addr` call, by the bytes around the relocated field of its first instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallForm {
    /// `call __tls_get_addr@PLT`
    Direct,
    /// `call *__tls_get_addr@GOTPCREL(%rip)`
    Indirect,
    /// `movabs $__tls_get_addr@PLTOFF, %rax; add %rbx, %rax; call *%rax` (or another GOT register)
    Large,
}

fn call_form(after: &[u8], is_general: bool) -> Option<CallForm> {
    let starts = |code: &[u8]| after.starts_with(code);
    if starts(&[0x48, 0xb8]) && after.len() >= 15 {
        return Some(CallForm::Large);
    }
    match is_general {
        true if starts(&[0x66, 0x66, 0x48, 0xe8]) && after.len() >= 8 => Some(CallForm::Direct),
        true if starts(&[0x66, 0x48, 0xff, 0x15]) && after.len() >= 8 => Some(CallForm::Indirect),
        false if starts(&[0xe8]) && after.len() >= 5 => Some(CallForm::Direct),
        false if starts(&[0xff, 0x15]) && after.len() >= 6 => Some(CallForm::Indirect),
        // The assembler may have used an addr32 prefix for a relaxed indirect call.
        false if starts(&[0x67, 0xe8]) && after.len() >= 6 => Some(CallForm::Indirect),
        _ => None,
    }
}

/// `mov %fs:0, %rax`
const LOAD_THREAD_POINTER: [u8; 9] = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];

/// Start and form of a general dynamic access, `None` if the code is unknown.
fn general_dynamic_code(bytes: &[u8], offset: usize) -> Option<(usize, CallForm)> {
    let form = call_form(bytes.get(offset + 4..)?, true)?;
    let lead: &[u8] = if form == CallForm::Large { &[0x48, 0x8d, 0x3d] } else { &[0x66, 0x48, 0x8d, 0x3d] };
    let start = offset.checked_sub(lead.len())?;
    (bytes[start..offset] == *lead).then_some((start, form))
}

/// Where [`general_dynamic`] leaves the four bytes to fill in.
pub fn general_dynamic_field(bytes: &[u8], offset: usize) -> Option<usize> {
    general_dynamic_code(bytes, offset).map(|(start, _)| start + 12)
}

/// Rewrites a general dynamic access. Returns where the four bytes to fill in are now: the thread pointer offset
/// (`to_local`), or the PC-relative address of the slot that holds it. `None` if the code is unknown.
pub fn general_dynamic(bytes: &mut [u8], offset: usize, to_local: bool) -> Option<usize> {
    let (start, form) = general_dynamic_code(bytes, offset)?;
    // lea x@tpoff(%rax), %rax or add x@gottpoff(%rip), %rax
    let second: [u8; 3] = if to_local { [0x48, 0x8d, 0x80] } else { [0x48, 0x03, 0x05] };
    bytes[start..start + 9].copy_from_slice(&LOAD_THREAD_POINTER);
    bytes[start + 9..start + 12].copy_from_slice(&second);
    if form == CallForm::Large {
        bytes[start + 16..start + 22].copy_from_slice(&[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00]);
    }
    Some(start + 12)
}

/// Rewrites a local dynamic access to a load of the thread pointer. False if the code is unknown.
pub fn local_dynamic(bytes: &mut [u8], offset: usize) -> bool {
    let Some(form) = bytes.get(offset + 4..).and_then(|after| call_form(after, false)) else { return false };
    let Some(start) = offset.checked_sub(3) else { return false };
    if bytes[start..offset] != [0x48, 0x8d, 0x3d] {
        return false;
    }
    // Prefixes without effect fill up what is left.
    let (padding, tail): (&[u8], &[u8]) = match form {
        CallForm::Direct => (&[0x66, 0x66, 0x66], &[]),
        CallForm::Indirect => (&[0x66, 0x66, 0x66, 0x66], &[]),
        CallForm::Large => (&[], &[0x66, 0x66, 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]),
    };
    let code = [padding, &LOAD_THREAD_POINTER, tail].concat();
    bytes[start..start + code.len()].copy_from_slice(&code);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn got_loads() {
        // mov foo@GOTPCREL(%rip), %r9
        let mut code = [0x4c, 0x8b, 0x0d, 0, 0, 0, 0];
        assert_eq!(got_rewrite(&code, 3, 3, true, false), Some(GotRewrite::MovToLea));
        rewrite_got(&mut code, 3, 3, GotRewrite::MovToLea);
        assert_eq!(code[..3], [0x4c, 0x8d, 0x0d]);
        // cmp foo@GOTPCREL(%rip), %r9: not in position-independent code
        let mut code = [0x4c, 0x3b, 0x0d, 0, 0, 0, 0];
        assert_eq!(got_rewrite(&code, 3, 3, true, false), None);
        assert_eq!(got_rewrite(&code, 3, 3, false, false), Some(GotRewrite::BinaryImmediate));
        rewrite_got(&mut code, 3, 3, GotRewrite::BinaryImmediate);
        // cmp $foo, %r9
        assert_eq!(code[..3], [0x49, 0x81, 0xf9]);
        // test %rcx, foo@GOTPCREL(%rip)
        let mut code = [0x48, 0x85, 0x0d, 0, 0, 0, 0];
        rewrite_got(&mut code, 3, 3, GotRewrite::TestImmediate);
        assert_eq!(code[..3], [0x48, 0xf7, 0xc1]);
        let code = [0xff, 0x15, 0, 0, 0, 0];
        assert_eq!(got_rewrite(&code, 2, 2, true, false), Some(GotRewrite::CallDirect));
        // push foo@GOTPCREL(%rip)
        let code = [0xff, 0x35, 0, 0, 0, 0];
        assert_eq!(got_rewrite(&code, 2, 2, true, false), None);
    }

    #[test]
    fn initial_exec() {
        // mov foo@GOTTPOFF(%rip), %r12
        let mut code = [0x4c, 0x8b, 0x25, 0, 0, 0, 0];
        assert!(can_make_local_exec(&code, 3, 3));
        initial_to_local(&mut code, 3, 3);
        assert_eq!(code[..3], [0x49, 0xc7, 0xc4]);
        // add foo@GOTTPOFF(%rip), %rax
        let mut code = [0x48, 0x03, 0x05, 0, 0, 0, 0];
        initial_to_local(&mut code, 3, 3);
        assert_eq!(code[..3], [0x48, 0x81, 0xc0]);
    }

    #[test]
    fn dynamic_models() {
        let mut code = [0x66, 0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0x66, 0x66, 0x48, 0xe8, 0, 0, 0, 0];
        assert_eq!(general_dynamic(&mut code, 4, true), Some(12));
        assert_eq!(code[..12], [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x48, 0x8d, 0x80]);
        let mut code = [0x48, 0x8d, 0x3d, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0];
        assert!(local_dynamic(&mut code, 3));
        assert_eq!(code, [0x66, 0x66, 0x66, 0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]);
        let mut unknown = [0x90; 32];
        assert_eq!(general_dynamic(&mut unknown, 8, true), None);
        assert!(!local_dynamic(&mut unknown, 8));
    }
}
