//! A node whose containers are processes of the user.
