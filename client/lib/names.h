/*
 * names: what the library calls its own things inside of an archive. Included before everything else by the compiler's command
 * line (Makefile.am), for the library's files and for the files of base/ that it is made of. So a program can link
 * libworkpool.a and have a buf_append() of its own. tests/lint/library checks that no name was forgotten.
 */
#ifndef WORKPOOL_CLIENT_LIB_NAMES_H
#define WORKPOOL_CLIENT_LIB_NAMES_H

#define buf_append             workpool_p_buf_append
#define buf_append_i64         workpool_p_buf_append_i64
#define buf_append_json_string workpool_p_buf_append_json_string
#define buf_consume            workpool_p_buf_consume
#define buf_done               workpool_p_buf_done
#define buf_init               workpool_p_buf_init
#define buf_make_room          workpool_p_buf_make_room
#define buf_printf             workpool_p_buf_printf
#define buf_release            workpool_p_buf_release
#define buf_truncate           workpool_p_buf_truncate
#define clock_now_us           workpool_p_clock_now_us
#define clock_wall_us          workpool_p_clock_wall_us
#define mem_dup                workpool_p_mem_dup
#define str_from_bytes         workpool_p_str_from_bytes
#define str_from_u64           workpool_p_str_from_u64
#define str_from_us            workpool_p_str_from_us
#define str_is_utf8            workpool_p_str_is_utf8
#define str_make_safe          workpool_p_str_make_safe
#define str_next_word          workpool_p_str_next_word
#define str_to_bool            workpool_p_str_to_bool
#define str_to_bytes           workpool_p_str_to_bytes
#define str_to_i64             workpool_p_str_to_i64
#define str_to_u64             workpool_p_str_to_u64
#define str_to_us              workpool_p_str_to_us
#define str_utf8_step          workpool_p_str_utf8_step

#define call_check_object workpool_p_call_check_object
#define call_run          workpool_p_call_run
#define call_send         workpool_p_call_send
#define conn_deadline     workpool_p_conn_deadline
#define conn_drop         workpool_p_conn_drop
#define conn_is_usable    workpool_p_conn_is_usable
#define conn_next         workpool_p_conn_next
#define conn_pop          workpool_p_conn_pop
#define conn_push         workpool_p_conn_push
#define conn_reserve_call workpool_p_conn_reserve_call
#define conn_take         workpool_p_conn_take
#define conn_turn         workpool_p_conn_turn
#define conn_write        workpool_p_conn_write
#define fail              workpool_p_fail
#define fail_because      workpool_p_fail_because
#define fail_code         workpool_p_fail_code
#define fail_none         workpool_p_fail_none
#define fail_reply        workpool_p_fail_reply
#define fail_system       workpool_p_fail_system
#define reply_new         workpool_p_reply_new
#define reply_set_data    workpool_p_reply_set_data
#define walk_begin        workpool_p_walk_begin
#define walk_element      workpool_p_walk_element
#define walk_find         workpool_p_walk_find
#define walk_is_at_end    workpool_p_walk_is_at_end
#define walk_is_object    workpool_p_walk_is_object
#define walk_member       workpool_p_walk_member
#define walk_of           workpool_p_walk_of
#define walk_unescape     workpool_p_walk_unescape
#define walk_value        workpool_p_walk_value

#endif
