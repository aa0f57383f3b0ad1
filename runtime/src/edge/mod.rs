//! What every request passes before and after it is routed.
