//! Keeps net.netfilter.nf_log_all_netns at 1: with 0 the kernel logs nothing outside the root namespace.
