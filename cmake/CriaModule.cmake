# A module is a folder of src/ and a static library cria_NAME; what it may use is declared, and tools/tidy holds the
# includes to it.
# Source files are found by name: SRC/*.c, SRC/*/*.c; a file NAME_test.c is a test of its own (CriaTests.cmake).
find_package(PkgConfig REQUIRED)

add_library(cria_flags INTERFACE)
target_include_directories(cria_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(cria_flags INTERFACE _GNU_SOURCE)
target_compile_options(cria_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wpointer-arith -Wwrite-strings
  -Werror -ffp-contract=off -fno-math-errno -fstack-protector-strong
  $<$<CONFIG:Release>:-O2> $<$<CONFIG:Debug>:-O1 -DCRIA_DEBUG>)

set(CRIA_FUZZ OFF CACHE BOOL "build the fuzz targets with libFuzzer instead of running their seeds (clang)")
if(CRIA_FUZZ)
  target_compile_options(cria_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

set(CRIA_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
if(CRIA_SANITIZE)
  target_compile_options(cria_flags INTERFACE -fsanitize=${CRIA_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(cria_flags INTERFACE -fsanitize=${CRIA_SANITIZE})
endif()

# Flags of the instruction-set folders; everything else runs on any x86-64.
set(CRIA_FLAGS_avx2 -mavx2 -mfma -mf16c)
set(CRIA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c)
set(CRIA_FLAGS_avx512bf16 ${CRIA_FLAGS_avx512} -mavx512bf16)
set(CRIA_FLAGS_amx ${CRIA_FLAGS_avx512bf16} -mamx-tile -mamx-bf16)

set_property(GLOBAL PROPERTY CRIA_MODULES "")

function(cria_library_link target name)
  if(name MATCHES "^(pthread|m)$")
    target_link_libraries(${target} PUBLIC ${name})
  else()
    pkg_check_modules(PKG_${name} REQUIRED IMPORTED_TARGET ${name})
    target_link_libraries(${target} PUBLIC PkgConfig::PKG_${name})
  endif()
endfunction()

function(cria_module name)
  cmake_parse_arguments(M "" "" "USES;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS src/${name}/*.c src/${name}/*/*.c)
  list(FILTER sources EXCLUDE REGEX "_(test|fake)\\.c$|/main\\.c$")
  if(NOT sources)
    add_library(cria_${name} INTERFACE)
    set(kind INTERFACE)
  else()
    add_library(cria_${name} STATIC ${sources})
    set(kind PUBLIC)
    foreach(source ${sources})
      if(source MATCHES "/(avx2|avx512|avx512bf16|amx)/[^/]*$")
        set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
          "${CRIA_FLAGS_${CMAKE_MATCH_1}};$<$<CONFIG:Release>:-O3>")
      endif()
    endforeach()
  endif()
  target_link_libraries(cria_${name} ${kind} cria_flags)
  foreach(used ${M_USES})
    target_link_libraries(cria_${name} ${kind} cria_${used})
  endforeach()
  if(sources)
    foreach(library ${M_LIBRARIES})
      cria_library_link(cria_${name} ${library})
    endforeach()
  endif()
  set_property(GLOBAL APPEND PROPERTY CRIA_MODULES ${name})
endfunction()

function(cria_program)
  if(EXISTS ${PROJECT_SOURCE_DIR}/src/cmd/main.c)
    add_executable(cria src/cmd/main.c)
    target_link_libraries(cria cria_cmd)
  endif()
endfunction()
