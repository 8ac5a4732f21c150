# Tests, benchmarks and fuzzers, found by the end of their names.

macro(cowherd_find_test_packages)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "Google Benchmark is not installed: no benchmarks")
  endif()
endmacro()

# GoogleTest's headers, compiled once and used by every test binary.
function(cowherd_test_headers target)
  if(NOT TARGET cowherd_test_headers)
    file(WRITE ${PROJECT_BINARY_DIR}/cowherd_test_headers.cpp "")
    add_library(cowherd_test_headers STATIC ${PROJECT_BINARY_DIR}/cowherd_test_headers.cpp)
    cowherd_compile_options(cowherd_test_headers)
    cowherd_test_definitions(cowherd_test_headers)
    target_link_libraries(cowherd_test_headers PRIVATE GTest::gmock GTest::gtest)
    target_precompile_headers(cowherd_test_headers PRIVATE <gtest/gtest.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM cowherd_test_headers)
endfunction()

# Where tests find the catalogue and the documents. Tests take most of the time that a build takes: the release
# build optimizes them less than what they test, and the clang build not at all.
function(cowherd_test_definitions target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(COWHERD_SANITIZE MATCHES "fuzzer")
    target_compile_options(${target} PRIVATE -O0)
  endif()
  target_compile_definitions(${target} PRIVATE COWHERD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endfunction()

# The tests of the memory system once more with each way that fork has to pass page tables on. Left out is what looks at
# costs that a shared table saves: events of single pages, frames in use. What a sanitizer can see it sees where one
# fork does it this way and the next that way.
function(cowherd_fork_mode_tests target)
  set(filter "*.HardwareBitsFollowTheAccess" "*.AFailedForkReallyWasHalfWay" "*.AReaderOfTheCountSeesAnUnneededCopy"
    "Cost.*" "*.AWriteAfterForkCopiesOnePage" "*.ReuseByRow" "*.TheReusedPageIsFoundByTheReverseMapOfItsNewOwner" "*.CoherenceByRow")
  list(JOIN filter ":" filter)
  set(modes mixed)
  if(NOT COWHERD_SANITIZE)
    list(APPEND modes leaves subtrees)
  endif()
  foreach(mode IN LISTS modes)
    add_test(NAME mm.fork_mode.${mode} COMMAND ${target} --gtest_brief=1 --gtest_filter=-${filter}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(mm.fork_mode.${mode} PROPERTIES LABELS mm TIMEOUT 900 ENVIRONMENT COWHERD_FORK_MODE=${mode})
  endforeach()
endfunction()

# Defines cowherd_<folder>_test, cowherd_<folder>_bench and a fuzzer for each *_fuzz.cpp, where there are such files.
function(cowherd_folder_tests folder)
  cowherd_sources(tests src/${folder} _test)
  if(tests)
    set(target cowherd_${folder}_test)
    add_executable(${target} ${tests})
    cowherd_compile_options(${target})
    cowherd_test_definitions(${target})
    cowherd_test_headers(${target})
    set_target_properties(${target} PROPERTIES UNITY_BUILD ${COWHERD_UNITY})
    if(COWHERD_UNITY)
      # Sources that are compiled together shadow each other's names.
      target_compile_options(${target} PRIVATE -Wno-shadow)
    endif()
    target_link_libraries(${target} PRIVATE cowherd_${folder})
    cowherd_link_edges(${target} PRIVATE ${folder})
    target_link_libraries(${target} PRIVATE GTest::gmock GTest::gtest GTest::gtest_main)
    # Who changes the machine, and looks whether it is as it was, is the only one who does.
    set(alone "")
    if(folder STREQUAL "live")
      set(alone RESOURCE_LOCK machine)
    endif()
    if(COWHERD_SANITIZE)
      # To start a process takes longer there than most tests do: two of them share each folder's.
      foreach(half IN ITEMS 0 1)
        add_test(NAME ${folder}.half.${half} COMMAND ${target} --gtest_brief=1 WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
        set_tests_properties(${folder}.half.${half} PROPERTIES LABELS ${folder} TIMEOUT 1800 ${alone}
          ENVIRONMENT "GTEST_TOTAL_SHARDS=2;GTEST_SHARD_INDEX=${half}")
      endforeach()
    else()
      gtest_discover_tests(${target} TEST_PREFIX "${folder}." NO_PRETTY_VALUES WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
        DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 PROPERTIES LABELS ${folder} TIMEOUT 300 ${alone})
    endif()
    if(folder STREQUAL "mm")
      cowherd_fork_mode_tests(${target})
    endif()
  endif()

  cowherd_sources(benchmarks src/${folder} _bench)
  cowherd_benchmark(cowherd_${folder}_bench cowherd_${folder} ${benchmarks})

  cowherd_sources(fuzzers src/${folder} _fuzz)
  foreach(fuzzer IN LISTS fuzzers)
    cowherd_fuzzer(${folder} ${fuzzer} cowherd_${folder})
  endforeach()
endfunction()

# Benchmarks are always compiled and never timed by a test.
function(cowherd_benchmark target library)
  if(NOT ARGN OR NOT benchmark_FOUND)
    return()
  endif()
  add_executable(${target} ${ARGN})
  cowherd_compile_options(${target})
  target_compile_definitions(${target} PRIVATE COWHERD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target} PRIVATE ${library} benchmark::benchmark benchmark::benchmark_main)
endfunction()

# A libFuzzer binary, and a test that gives it the same 20000 inputs every time. Other compilers than clang have none.
function(cowherd_fuzzer folder source library)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    return()
  endif()
  get_filename_component(name ${source} NAME_WE)
  set(target cowherd_${folder}_${name})
  add_executable(${target} ${source})
  cowherd_compile_options(${target})
  target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${target} PRIVATE ${library})
  add_test(NAME fuzz.${folder}.${name}
    COMMAND ${PROJECT_SOURCE_DIR}/tools/run-fuzzer $<TARGET_FILE:${target}> ${PROJECT_SOURCE_DIR})
  set_tests_properties(fuzz.${folder}.${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endfunction()

# bench/ and fuzz/ at the root may use everything.
function(cowherd_program_benchmarks folder)
  cowherd_sources(benchmarks ${folder} _bench)
  cowherd_benchmark(cowherd_bench cowherd_cli ${benchmarks})
endfunction()

function(cowherd_program_fuzzers folder)
  cowherd_sources(fuzzers ${folder} _fuzz)
  foreach(fuzzer IN LISTS fuzzers)
    cowherd_fuzzer(program ${fuzzer} cowherd_cli)
  endforeach()
endfunction()
