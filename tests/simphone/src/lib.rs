//! A simulated Cisco 7940/7960.
