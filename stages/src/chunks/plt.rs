//! `.plt`, `.plt.sec`, `.plt.got`.

use crate::arch::target::plt::{self, Form};
use crate::image::Image;
use crate::tables::PltPlace;

pub(super) fn write_plt(image: &Image, address: u64, out: &mut [u8]) {
    let bases = &image.addresses.bases;
    let header = bases.plt_header as usize;
    match bases.form {
        Form::Plain | Form::Tracked if header == 0 => {}
        Form::Plain | Form::Tracked => plt::write_header(&mut out[..header], address, bases.got_plt),
        form => {
            plt::write_retpoline_header(&mut out[..header], address, bases.got_plt, form == Form::Retpoline)
        }
    }
    let entry = bases.form.entry_size() as usize;
    let lazy = image.tables.lazy.len();
    for n in 0..lazy + image.tables.ifuncs.len() {
        let start = header + n * entry;
        let code = &mut out[start..start + entry];
        let at = address + start as u64;
        if n >= lazy {
            let slot = bases.got_plt_slot(PltPlace::Ifunc((n - lazy) as u32));
            write_direct(image, code, at, slot);
            continue;
        }
        let slot = bases.got_plt_slot(PltPlace::Lazy(n as u32));
        match bases.form {
            Form::Plain => plt::write_lazy(code, at, slot, n as u32, address),
            Form::Tracked => plt::write_lazy_ibt(code, at, n as u32, address),
            Form::Retpoline => plt::write_retpoline_lazy(code, at, slot, n as u32, address),
            Form::RetpolineNow => write_direct(image, code, at, slot),
        }
    }
}

/// An entry that goes where a slot says.
fn write_direct(image: &Image, code: &mut [u8], address: u64, slot: u64) {
    let bases = &image.addresses.bases;
    match bases.form {
        Form::Plain => plt::write_direct(code, address, slot),
        Form::Tracked => plt::write_direct_ibt(code, address, slot),
        form => plt::write_retpoline_direct(code, address, slot, bases.plt, form == Form::Retpoline),
    }
}

pub(super) fn write_plt_sec(image: &Image, address: u64, out: &mut [u8]) {
    let size = plt::SECOND_ENTRY_SIZE as usize;
    for (n, code) in out.chunks_exact_mut(size).enumerate() {
        let slot = image.addresses.bases.got_plt_slot(PltPlace::Lazy(n as u32));
        plt::write_direct_ibt(code, address + (n * size) as u64, slot);
    }
}

pub(super) fn write_plt_got(image: &Image, address: u64, out: &mut [u8]) {
    let bases = &image.addresses.bases;
    let size = bases.form.got_entry_size() as usize;
    for (n, code) in out.chunks_exact_mut(size).enumerate() {
        let slot = bases.got_slot(image.slots(image.tables.plt_got[n]).got);
        write_direct(image, code, address + (n * size) as u64, slot);
    }
}
