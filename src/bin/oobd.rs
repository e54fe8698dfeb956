//! Starts the supervisor.
fn main() {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    std::thread::park();
}
