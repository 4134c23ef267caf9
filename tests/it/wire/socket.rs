//! WebSockets of hostile and of careless clients.
