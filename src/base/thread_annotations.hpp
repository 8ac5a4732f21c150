#pragma once

// clang's thread-safety attributes; nothing under other compilers.

#if defined(__clang__)
#define COWHERD_ATTRIBUTE(x) __attribute__((x))
#else
#define COWHERD_ATTRIBUTE(x)
#endif

#define COWHERD_CAPABILITY(name) COWHERD_ATTRIBUTE(capability(name))
#define COWHERD_SCOPED_CAPABILITY COWHERD_ATTRIBUTE(scoped_lockable)
#define COWHERD_GUARDED_BY(lock) COWHERD_ATTRIBUTE(guarded_by(lock))
#define COWHERD_PT_GUARDED_BY(lock) COWHERD_ATTRIBUTE(pt_guarded_by(lock))
#define COWHERD_REQUIRES(...) COWHERD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define COWHERD_EXCLUDES(...) COWHERD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define COWHERD_ACQUIRE(...) COWHERD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define COWHERD_RELEASE(...) COWHERD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define COWHERD_NO_THREAD_SAFETY_ANALYSIS COWHERD_ATTRIBUTE(no_thread_safety_analysis)
