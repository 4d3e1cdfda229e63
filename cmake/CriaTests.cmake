# The tests, all found by name and all run by ctest:
#
#   src/MODULE/X_test.c        a cmocka program that links its module alone
#   tests/FOLDER/X_test.c      a cmocka program that links everything
#   tests/FOLDER/test_X.py     python3 with unittest, the standard library and what it installs itself; environment: CRIA is the
#                              program, CRIA_SOURCE_DIR the tree, CRIA_BUILD_DIR a folder to write in
#   tests/fuzz/X_fuzz.c        a libFuzzer entry; here it is run over the files of tests/fuzz/seeds/X, once each
#
# Labels: `check` for what `make test` leaves to `make check`; `slow` for what the thread sanitizer makes too slow.

function(cria_tests)
  enable_testing()
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  if(CRIA_FUZZ)
    cria_fuzz_targets()
    return()
  endif()
  get_property(modules GLOBAL PROPERTY CRIA_MODULES)
  foreach(module ${modules})
    file(GLOB tests CONFIGURE_DEPENDS src/${module}/*_test.c src/${module}/*/*_test.c)
    foreach(test ${tests})
      cria_test(${test} cria_${module})
    endforeach()
  endforeach()
  file(GLOB tests CONFIGURE_DEPENDS tests/*/*_test.c)
  foreach(test ${tests})
    cria_test(${test} cria_cmd)
  endforeach()
  file(GLOB tests CONFIGURE_DEPENDS tests/*/test_*.py)
  foreach(test ${tests})
    cria_python_test(${test})
  endforeach()
  cria_fuzz_targets()
  cria_tidy_test()
endfunction()

function(cria_test source library)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} ${library} PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE CRIA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

function(cria_python_test source)
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME ${name} COMMAND python3 -B ${source} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 ENVIRONMENT
    "CRIA=${PROJECT_BINARY_DIR}/cria;CRIA_SOURCE_DIR=${PROJECT_SOURCE_DIR};CRIA_BUILD_DIR=${PROJECT_BINARY_DIR}")
endfunction()

# A fuzz target is tests/fuzz/X_fuzz.c with LLVMFuzzerTestOneInput(); fuzz_replay.c is the main() that runs it over files.
function(cria_fuzz_targets)
  file(GLOB targets CONFIGURE_DEPENDS tests/fuzz/*_fuzz.c)
  foreach(source ${targets})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" subject ${name})
    if(CRIA_FUZZ)
      add_executable(${name} ${source})
      target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
      add_executable(${name} ${source} tests/fuzz/fuzz_replay.c)
      add_test(NAME ${name} COMMAND ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/seeds/${subject})
    endif()
    target_link_libraries(${name} cria_cmd)
    target_compile_definitions(${name} PRIVATE CRIA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  endforeach()
endfunction()

function(cria_tidy_test)
  add_test(NAME tidy COMMAND python3 -B ${PROJECT_SOURCE_DIR}/tools/tidy --build ${PROJECT_BINARY_DIR})
endfunction()
