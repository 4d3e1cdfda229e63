# A module is a folder of src/ and a static library cria_NAME; what it may use is declared, and tools/tidy holds the
# includes to it.
# Source files are found by name: SRC/*.c, SRC/*/*.c; a file NAME_test.c is a test of its own (CriaTests.cmake).
find_package(PkgConfig REQUIRED)

add_library(cria_flags INTERFACE)
target_include_directories(cria_flags INTERFACE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(cria_flags INTERFACE _GNU_SOURCE CRIA_VERSION="${PROJECT_VERSION}")
# ret_ parameters are untouched on failure, which gcc cannot follow: it would warn about every one of them.
target_compile_options(cria_flags INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wpointer-arith -Wwrite-strings
  $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> -Werror -ffp-contract=off -fno-math-errno -fstack-protector-strong
  $<$<CONFIG:Release>:-O2> $<$<CONFIG:Debug>:-O1 -DCRIA_DEBUG>)

set(CRIA_FUZZ OFF CACHE BOOL "build the fuzz targets with libFuzzer instead of running their seeds (clang)")
if(CRIA_FUZZ)
  # No fuzz target computes with them, and clang takes minutes to watch every branch of their unrolled loops.
  set(CRIA_KERNEL_FUZZ_FLAGS -fno-sanitize=all)
  target_compile_options(cria_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

set(CRIA_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
if(CRIA_SANITIZE)
  # The checks that a sanitizer weaves in keep gcc from seeing the lengths of strings; the plain build warns instead.
  target_compile_options(cria_flags INTERFACE $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>)
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
          "${CRIA_FLAGS_${CMAKE_MATCH_1}};$<$<CONFIG:Release>:-O3>;${CRIA_KERNEL_FUZZ_FLAGS}")
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

# libcria.a: the modules behind include/cria/cria.h in one archive; and examples/, which see include/ and the archive
# alone.
function(cria_archive)
  cmake_parse_arguments(A "" "" "MODULES;LIBRARIES" ${ARGN})
  set(objects)
  foreach(module ${A_MODULES})
    get_target_property(type cria_${module} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      list(APPEND objects $<TARGET_OBJECTS:cria_${module}>)
    endif()
  endforeach()
  add_library(libcria STATIC ${objects})
  set_target_properties(libcria PROPERTIES OUTPUT_NAME cria LINKER_LANGUAGE C)
  target_include_directories(libcria INTERFACE ${PROJECT_SOURCE_DIR}/include)
  foreach(library ${A_LIBRARIES})
    if(library MATCHES "^(pthread|m)$")
      target_link_libraries(libcria INTERFACE ${library})
    else()
      pkg_check_modules(PKG_${library} REQUIRED IMPORTED_TARGET ${library})
      target_link_libraries(libcria INTERFACE PkgConfig::PKG_${library})
    endif()
  endforeach()
  file(GLOB examples CONFIGURE_DEPENDS examples/*.c)
  foreach(source ${examples})
    get_filename_component(name ${source} NAME_WE)
    add_executable(example_${name} ${source})
    set_target_properties(example_${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)
    target_compile_options(example_${name} PRIVATE -Wall -Wextra -Wpedantic -Werror)
    target_link_libraries(example_${name} libcria)
    if(CRIA_SANITIZE)
      target_link_options(example_${name} PRIVATE -fsanitize=${CRIA_SANITIZE})
    endif()
  endforeach()
endfunction()
