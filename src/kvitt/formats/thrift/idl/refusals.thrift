// What every service may refuse a request with.

exception InvalidRequest {
    1: required list<string> errors
}
