# How every target of the project is compiled.

function(cowherd_compile_options target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(COWHERD_WITH_MUTANTS)
    target_compile_definitions(${target} PRIVATE COWHERD_WITH_MUTANTS)
  endif()
  if(COWHERD_SEQUENCE_MOVED)
    target_compile_definitions(${target} PRIVATE COWHERD_SEQUENCE_MOVED)
  endif()
  if(COWHERD_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE -Wthread-safety)
  else()
    # Where GCC 12 inlines its own std::string's operator+, it sees copies that overlap or end out of bounds. The
    # sanitizer builds look for the real ones.
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
    if(COWHERD_UNITY)
      # A source that is included by another looks like a header with an unnamed namespace.
      target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
    endif()
    if(COWHERD_SANITIZE)
      # The instrumented code defeats the analysis behind this warning.
      target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized)
    endif()
  endif()
  if(COWHERD_WATCHED)
    # ThreadSanitizer's calls before every access, for functions of our own (tests/races); what is not a call to memset
    # or memcpy would have none.
    target_compile_options(${target} PRIVATE -fsanitize=thread -fno-builtin-memset -fno-builtin-memcpy
      -fno-builtin-memmove -Wno-maybe-uninitialized)
    target_compile_definitions(${target} PRIVATE COWHERD_WATCHED)
  endif()
  if(COWHERD_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${COWHERD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${COWHERD_SANITIZE})
  endif()
endfunction()
