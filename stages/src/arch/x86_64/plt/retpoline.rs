//! PLT entries without indirect jumps (`-z retpolineplt`).
//!
//! A processor may run ahead along a wrong guess where an indirect jump goes, and others may teach it that guess. A return
//! goes where the last call came from, as far as the processor can guess; so an entry loads the function's address into
//! `%r11`, calls a place that puts it over the return address, and returns. Who runs ahead ends in the loop behind the call
//! (Intel, "Retpoline: A Branch Target Injection Mitigation").
//!
//! ```text
//!        push GOT+8(%rip)            the header, where functions are bound when they are first called
//!        mov GOT+16(%rip), %r11
//! thunk: call 2f
//! 1:     pause; lfence; jmp 1b
//! 2:     mov %r11, (%rsp)
//!        ret
//!
//! entry: mov slot(%rip), %r11
//!        jmp thunk
//!        push $index                 what a slot that is not bound yet leads to
//!        jmp header
//! ```
//!
//! What a return does to a shadow stack is a fault, and `ret` reaches no ENDBR64 of these entries: whoever writes them must
//! not promise that the output works with either.

use super::put_pc32;

/// Size of the header, with the thunk at its end.
pub const HEADER_SIZE: u64 = 48;
/// Size of the thunk alone.
pub const THUNK_SIZE: u64 = 32;
/// Where the thunk begins in the header.
const THUNK_OFFSET: u64 = 13;
/// Where what calls the resolver begins in an entry.
pub const RESOLVER_OFFSET: u64 = 12;

/// What stands in front of all entries: the call of the resolver, if `is_lazy`, and the thunk.
pub fn write_header(code: &mut [u8], address: u64, got_plt: u64, is_lazy: bool) {
    code.fill(0xcc);
    let mut at = 0;
    if is_lazy {
        code[..13].copy_from_slice(&[0xff, 0x35, 0, 0, 0, 0, 0x4c, 0x8b, 0x1d, 0, 0, 0, 0]);
        put_pc32(code, 2, address, got_plt + 8);
        put_pc32(code, 9, address, got_plt + 16);
        at = THUNK_OFFSET as usize;
    }
    // call 2f; 1: pause; lfence; jmp 1b
    let next = (at + 12).next_multiple_of(16);
    let call = [0xe8, 0, 0, 0, 0, 0xf3, 0x90, 0x0f, 0xae, 0xe8, 0xeb, 0xf9];
    code[at..at + 12].copy_from_slice(&call);
    code[at + 1] = (next - at - 5) as u8;
    // 2: mov %r11, (%rsp); ret
    code[next..next + 5].copy_from_slice(&[0x4c, 0x89, 0x1c, 0x24, 0xc3]);
}

/// An entry that goes where its slot says. `header` is the address of what [`write_header`] wrote.
pub fn write_direct(code: &mut [u8], address: u64, slot: u64, header: u64, is_lazy: bool) {
    code.fill(0xcc);
    code[..12].copy_from_slice(&[0x4c, 0x8b, 0x1d, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0]);
    put_pc32(code, 3, address, slot);
    put_pc32(code, 8, address, if is_lazy { header + THUNK_OFFSET } else { header });
}

/// The same with what calls the resolver behind it.
pub fn write_lazy(code: &mut [u8], address: u64, slot: u64, index: u32, header: u64) {
    write_direct(code, address, slot, header, true);
    code[12..22].copy_from_slice(&[0x68, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0]);
    code[13..17].copy_from_slice(&index.to_le_bytes());
    put_pc32(code, 18, address, header);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thunk_is_where_entries_jump_to() {
        for (is_lazy, size, thunk) in [(true, HEADER_SIZE, THUNK_OFFSET), (false, THUNK_SIZE, 0)] {
            let mut header = vec![0; size as usize];
            write_header(&mut header, 0x1000, 0x4000, is_lazy);
            let thunk = thunk as usize;
            assert_eq!(header[thunk], 0xe8);
            let target = thunk + 5 + usize::from(header[thunk + 1]);
            assert_eq!(header[target..target + 5], [0x4c, 0x89, 0x1c, 0x24, 0xc3]);
            let mut code = vec![0; 16];
            write_direct(&mut code, 0x1030, 0x4018, 0x1000, is_lazy);
            let jump = i32::from_le_bytes(code[8..12].try_into().unwrap());
            assert_eq!(0x1030 + 12 + i64::from(jump), 0x1000 + thunk as i64);
        }
    }
}
