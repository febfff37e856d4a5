//! `.plt`, `.plt.sec`, `.plt.got`.

use crate::arch::target::plt;
use crate::image::Image;
use crate::tables::PltPlace;

pub(super) fn write_plt(image: &Image, address: u64, out: &mut [u8]) {
    let bases = &image.addresses.bases;
    let header = bases.plt_header as usize;
    if header > 0 {
        plt::write_header(&mut out[..header], address, bases.got_plt);
    }
    let entry = plt::ENTRY_SIZE as usize;
    let lazy = image.tables.lazy.len();
    for n in 0..lazy + image.tables.ifuncs.len() {
        let start = header + n * entry;
        let code = &mut out[start..start + entry];
        let at = address + start as u64;
        match (n < lazy, bases.ibt) {
            (true, true) => plt::write_lazy_ibt(code, at, n as u32, address),
            (true, false) => {
                let slot = bases.got_plt_slot(PltPlace::Lazy(n as u32));
                plt::write_lazy(code, at, slot, n as u32, address);
            }
            (false, is_ibt) => {
                let slot = bases.got_plt_slot(PltPlace::Ifunc((n - lazy) as u32));
                let write = if is_ibt { plt::write_direct_ibt } else { plt::write_direct };
                write(code, at, slot);
            }
        }
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
    let size = crate::values::plt_got_entry_size(bases.ibt) as usize;
    let write = if bases.ibt { plt::write_direct_ibt } else { plt::write_direct };
    for (n, code) in out.chunks_exact_mut(size).enumerate() {
        let slot = bases.got_slot(image.slots(image.tables.plt_got[n]).got);
        write(code, address + (n * size) as u64, slot);
    }
}
