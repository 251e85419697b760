//! The demo tenant.
use crate::emulator::call::Call;
use crate::emulator::store::Error;
pub(crate) fn seed(_call: &Call<'_>) -> Result<(), Error> {
    Ok(())
}
