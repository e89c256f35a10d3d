"""instep inside other libraries; each module imports only the one it is named after."""
