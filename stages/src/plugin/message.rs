//! LDPT_MESSAGE: text from the plugin, composed as by `printf`.
//!
//! The function takes a variable number of arguments, which Rust can pass but not take. So its entry is a few
//! instructions that lay out the arguments as `va_start` does (System V ABI for AMD64, 3.5.7 "Variable Argument Lists")
//! and go on in Rust, where the C library composes the text. On other hosts the text is shown without its arguments.
//!
//! `unsafe` is for these instructions and for what C hands over.

use std::ffi::{CStr, c_char, c_int};

/// The address that goes into the transfer vector.
pub(super) fn entry() -> usize {
    message as *const () as usize
}

/// The argument list of a C function in the making (`va_list`).
#[cfg(target_arch = "x86_64")]
#[repr(C)]
#[derive(Clone, Copy)]
struct Arguments {
    /// Bytes of the save area that general arguments have used.
    general_offset: u32,
    /// The same for floating point arguments.
    float_offset: u32,
    /// The next argument on the stack.
    overflow: *const u8,
    /// Where the argument registers were saved.
    saved: *const u8,
}

/// `enum ld_plugin_status (*ld_plugin_message) (int level, const char *format, ...)`.
///
/// The save area of 176 bytes is at the bottom of the frame, the list behind it. 216 bytes make the stack aligned again
/// behind the return address.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn message(_level: c_int, _format: *const c_char) -> c_int {
    std::arch::naked_asm!(
        "sub rsp, 216",
        "mov [rsp], rdi",
        "mov [rsp + 8], rsi",
        "mov [rsp + 16], rdx",
        "mov [rsp + 24], rcx",
        "mov [rsp + 32], r8",
        "mov [rsp + 40], r9",
        "movaps [rsp + 48], xmm0",
        "movaps [rsp + 64], xmm1",
        "movaps [rsp + 80], xmm2",
        "movaps [rsp + 96], xmm3",
        "movaps [rsp + 112], xmm4",
        "movaps [rsp + 128], xmm5",
        "movaps [rsp + 144], xmm6",
        "movaps [rsp + 160], xmm7",
        "mov dword ptr [rsp + 176], 16",
        "mov dword ptr [rsp + 180], 48",
        "lea rax, [rsp + 224]",
        "mov [rsp + 184], rax",
        "mov [rsp + 192], rsp",
        "lea rdx, [rsp + 176]",
        "call {composed}",
        "add rsp, 216",
        "ret",
        composed = sym composed,
    )
}

/// Composes the text and hands it on.
#[cfg(target_arch = "x86_64")]
unsafe extern "C" fn composed(level: c_int, format: *const c_char, arguments: *const Arguments) -> c_int {
    unsafe extern "C" {
        fn vsnprintf(out: *mut c_char, size: usize, format: *const c_char, list: *mut Arguments) -> c_int;
    }
    let mut text = vec![0u8; 512];
    loop {
        // SAFETY: `format` and its arguments are those of a call in the manner of printf; the list is used up by each
        // reading, so each gets a copy. `text` has room for as many bytes as it is said to.
        let length = unsafe {
            let mut list = *arguments;
            vsnprintf(text.as_mut_ptr().cast(), text.len(), format, &mut list)
        };
        let Ok(length) = usize::try_from(length) else {
            // SAFETY: as above; without its arguments it still says something.
            text = unsafe { CStr::from_ptr(format) }.to_bytes().to_vec();
            break;
        };
        if length < text.len() {
            text.truncate(length);
            break;
        }
        text.resize(length + 1, 0);
    }
    super::host::said(level, &String::from_utf8_lossy(&text))
}

#[cfg(not(target_arch = "x86_64"))]
unsafe extern "C" fn message(level: c_int, format: *const c_char) -> c_int {
    // SAFETY: the plugin passes a string.
    super::host::said(level, &unsafe { CStr::from_ptr(format) }.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn arguments_of_all_kinds_arrive() {
        type Message = unsafe extern "C" fn(c_int, *const c_char, ...) -> c_int;
        // SAFETY: the function is written to be called so.
        let call: Message = unsafe { std::mem::transmute(entry()) };
        let long = std::ffi::CString::new("x".repeat(2000)).unwrap();
        // SAFETY: the arguments fit the format.
        unsafe {
            call(
                super::super::abi::level::WARNING,
                c"%s %d %d %.1f %d %d %.2f %d %s".as_ptr(),
                c"a".as_ptr(),
                1 as c_int,
                2 as c_int,
                3.5f64,
                4 as c_int,
                5 as c_int,
                6.25f64,
                7 as c_int,
                long.as_ptr(),
            );
        }
        let said = super::super::host::take_messages();
        assert!(said.iter().any(|m| m.text == format!("a 1 2 3.5 4 5 6.25 7 {}", "x".repeat(2000))));
    }
}
