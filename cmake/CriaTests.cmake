# The tests, all found by name and all run by ctest:
#
#   src/MODULE/X_test.c        a cmocka program that links its module alone, after the module's X_fake.c files (test
#                              doubles of what lies below it: the linker takes them instead of the real ones)
#   tests/FOLDER/X_test.c      a cmocka program that links everything, and tests/kit (what these tests share)
#   tests/FOLDER/test_X.py     python3 with unittest, the standard library and what it installs itself; environment:
#                              CRIA is the program, CRIA_SOURCE_DIR the tree, CRIA_BUILD_DIR a folder to write in
#   tests/fuzz/X_fuzz.c        a libFuzzer entry; here it is run over the files of tests/fuzz/seeds/X, once each
#
# Labels, by the lists below: `check` is what `make test` leaves to `make check`; `slow` is what has so much arithmetic,
# or measures so much memory, that the sanitizers pass it by (they see the same code run on tiny models); `single` is
# what has one thread and takes long, so that the thread sanitizer would learn nothing from it.
set(CRIA_CHECK_TESTS test_baseline)
set(CRIA_SLOW_TESTS smollm2_test test_cmd_smollm2 test_memory learning_memory_test test_foretell test_speedrun
  test_train_bits)
set(CRIA_SINGLE_TESTS gguf_mutation_test safetensors_mutation_test template_budget_test templates_test prompts_test
  long_text_test test_long_text test_reference test_trainer plan_fault_test predict_test test_predict test_plan_facts
  test_plan_serving test_report)
# Tests that hold a time or a ratio of times run while no other does.
set(CRIA_TIMED_TESTS long_text_test test_long_text template_budget_test)
# Tests that compile a kernel into themselves need its instruction set; they ask the machine before they use it.
set(CRIA_TEST_FLAGS_tile_emulation_test ${CRIA_FLAGS_avx512bf16})

enable_testing() # here: inside a function it would end with it

function(cria_tests)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
  if(CRIA_FUZZ)
    cria_fuzz_targets()
    return()
  endif()
  get_property(modules GLOBAL PROPERTY CRIA_MODULES)
  foreach(module ${modules})
    file(GLOB tests CONFIGURE_DEPENDS src/${module}/*_test.c src/${module}/*/*_test.c)
    file(GLOB fakes CONFIGURE_DEPENDS src/${module}/*_fake.c)
    foreach(test ${tests})
      cria_test(${test} cria_${module})
      get_filename_component(name ${test} NAME_WE)
      target_sources(${name} PRIVATE ${fakes})
    endforeach()
  endforeach()
  file(GLOB kit CONFIGURE_DEPENDS tests/kit/*.c)
  if(kit)
    add_library(cria_kit STATIC ${kit})
    target_include_directories(cria_kit PUBLIC ${PROJECT_SOURCE_DIR}/tests)
    target_link_libraries(cria_kit PUBLIC cria_llama)
  else()
    add_library(cria_kit INTERFACE)
  endif()
  file(GLOB tests CONFIGURE_DEPENDS tests/*/*_test.c)
  foreach(test ${tests})
    cria_test(${test} cria_cmd)
    get_filename_component(name ${test} NAME_WE)
    target_link_libraries(${name} cria_kit cria_api)
  endforeach()
  file(GLOB tests CONFIGURE_DEPENDS tests/*/test_*.py)
  foreach(test ${tests})
    cria_python_test(${test})
  endforeach()
  cria_fuzz_targets()
  if(NOT CRIA_SANITIZE)
    add_test(NAME tidy COMMAND python3 -B ${PROJECT_SOURCE_DIR}/tools/tidy --build ${PROJECT_BINARY_DIR})
  endif()
endfunction()

function(cria_test source library)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_link_libraries(${name} ${library} PkgConfig::CMOCKA)
  target_compile_definitions(${name} PRIVATE CRIA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE ${CRIA_TEST_FLAGS_${name}})
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  cria_test_properties(${name} 300)
endfunction()

# Under a sanitizer everything takes longer, and what cannot be allocated must come back as NULL as it does elsewhere.
function(cria_test_properties name seconds)
  set(environment ${ARGN})
  if(CRIA_SANITIZE)
    math(EXPR seconds "${seconds} * 3")
    list(APPEND environment ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
      TSAN_OPTIONS=allocator_may_return_null=1:halt_on_error=1)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} ENVIRONMENT "${environment}")
  if(name IN_LIST CRIA_SLOW_TESTS)
    set_tests_properties(${name} PROPERTIES LABELS slow)
  endif()
  if(name IN_LIST CRIA_SINGLE_TESTS)
    set_tests_properties(${name} PROPERTIES LABELS single)
  endif()
  if(name IN_LIST CRIA_TIMED_TESTS)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
  if(name IN_LIST CRIA_CHECK_TESTS)
    set_tests_properties(${name} PROPERTIES LABELS check)
  endif()
endfunction()

function(cria_python_test source)
  get_filename_component(name ${source} NAME_WE)
  add_test(NAME ${name} COMMAND python3 -B ${source} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  cria_test_properties(${name} 600 CRIA=${PROJECT_BINARY_DIR}/cria CRIA_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    CRIA_BUILD_DIR=${PROJECT_BINARY_DIR})
endfunction()

# A fuzz target is tests/fuzz/X_fuzz.c with LLVMFuzzerTestOneInput(); fuzz_replay.c is the main() that runs it over
# the files of its seeds.
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
      cria_test_properties(${name} 300)
    endif()
    target_link_libraries(${name} cria_cmd)
    target_compile_definitions(${name} PRIVATE CRIA_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  endforeach()
endfunction()
