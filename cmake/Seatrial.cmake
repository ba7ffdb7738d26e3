# How every room of the house is compiled. A room says `seatrial_library(room_name files... LINK others...)`.

option(SEATRIAL_WERROR "Treat compiler warnings as errors" OFF)
set(SEATRIAL_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize= (address,undefined or thread)")
option(SEATRIAL_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

# Assertions stay on.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(seatrial_flags INTERFACE)
target_include_directories(seatrial_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(seatrial_flags INTERFACE _GNU_SOURCE SEATRIAL_VERSION="${PROJECT_VERSION}")
target_compile_options(
  seatrial_flags
  INTERFACE -Wall
            -Wextra
            -Wshadow
            -Wundef
            -Wvla
            -Wconversion
            -Wno-sign-conversion
            -Wformat=2
            -Wwrite-strings
            -Wcast-qual
            -Wpointer-arith
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wold-style-definition
            -Wimplicit-fallthrough
            -Wdouble-promotion
            $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> # texts are cut at their maximum on purpose
            -fno-common
            -fno-omit-frame-pointer
            -fstack-protector-strong
            -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_link_libraries(seatrial_flags INTERFACE Threads::Threads)
if(SEATRIAL_WERROR)
  target_compile_options(seatrial_flags INTERFACE -Werror)
endif()
if(SEATRIAL_SANITIZE)
  target_compile_options(seatrial_flags INTERFACE -fsanitize=${SEATRIAL_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(seatrial_flags INTERFACE -fsanitize=${SEATRIAL_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(seatrial_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(SEATRIAL_FUZZ)
  target_compile_options(seatrial_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(seatrial_flags INTERFACE -fsanitize=address,undefined)
endif()

# seatrial_library(NAME files... [LINK libraries...])
function(seatrial_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC seatrial_flags ${ARG_LINK})
endfunction()

# seatrial_program(NAME files... [LINK libraries...]); all programs land in build/<preset>/bin.
function(seatrial_program name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE seatrial_flags ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# seatrial_test(LABEL NAME files... [LINK libraries...]): a cmocka program; its ctest label is the folder's name.
function(seatrial_test label name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${label}_${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${label}_${name} PRIVATE seatrial_flags ${ARG_LINK} PkgConfig::CMOCKA)
  add_test(NAME ${label}/${name} COMMAND ${label}_${name})
  set_tests_properties(${label}/${name} PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

# seatrial_bats(LABEL NAME file [ONCE | CHECKED] [OWN_HOSTS] [TIMEOUT seconds]): the file's tests run commands as users do. They
# find the programs in $SEATRIAL_BIN and the tree in $SEATRIAL_SOURCE. Tests of the one engine that all share (label rig) run
# one after the other, those that make hosts of their own (OWN_HOSTS) beside them. script/test runs each for both builds, but
# ONCE (label once), which does not depend on how the programs are compiled, only for the optimised one, and CHECKED (label
# checked), which takes long, only for the one that sees more.
function(seatrial_bats label name file)
  cmake_parse_arguments(ARG "ONCE;CHECKED;OWN_HOSTS" "TIMEOUT" "" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 900) # tests wait for what they wait for: a busy machine is no failure
  endif()
  add_test(NAME ${label}/${name} COMMAND bats --print-output-on-failure ${CMAKE_CURRENT_SOURCE_DIR}/${file})
  set_tests_properties(
    ${label}/${name} PROPERTIES LABELS ${label} TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT
    "SEATRIAL_BIN=${CMAKE_BINARY_DIR}/bin;SEATRIAL_SOURCE=${CMAKE_SOURCE_DIR};SEATRIAL_BUILD=${CMAKE_BINARY_DIR}")
  if(label STREQUAL rig AND NOT ARG_OWN_HOSTS)
    set_tests_properties(${label}/${name} PROPERTIES RESOURCE_LOCK docker)
  endif()
  if(ARG_ONCE)
    set_property(TEST ${label}/${name} APPEND PROPERTY LABELS once)
  endif()
  if(ARG_CHECKED)
    set_property(TEST ${label}/${name} APPEND PROPERTY LABELS checked)
  endif()
endfunction()

# seatrial_fuzzer(NAME file [LINK libraries...]): with SEATRIAL_FUZZ a libFuzzer program; in every other
# build the same file with a main that replays tests/fuzz/corpus/NAME, run as a plain test.
function(seatrial_fuzzer name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_executable(fuzz_${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(fuzz_${name} PRIVATE seatrial_flags ${ARG_LINK})
  if(SEATRIAL_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    target_link_libraries(fuzz_${name} PRIVATE lib_base)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} ${corpus})
    set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT 300)
  endif()
endfunction()

# seatrial_bench(NAME): tests/bench/NAME, a program for script/bench, does its small work as a test, so that it stays alive.
function(seatrial_bench name)
  add_test(NAME bench/${name} COMMAND ${CMAKE_SOURCE_DIR}/tests/bench/${name})
  set_tests_properties(
    bench/${name} PROPERTIES LABELS "bench;once" TIMEOUT 300 SKIP_RETURN_CODE 77 RESOURCE_LOCK docker ENVIRONMENT
    "BENCH_TINY=1;SEATRIAL_BIN=${CMAKE_BINARY_DIR}/bin")
endfunction()
